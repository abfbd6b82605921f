package config

import (
	"errors"
	"fmt"
	"strings"
)

// Identity is the module's identity at its hub. It authenticates in exactly one of three
// ways: through IoT Edge's workload API, with a symmetric key, or with a certificate.
type Identity struct {
	Source      string // the variable that it comes from, for the log
	HubHost     string // the hub's name, as used in tokens and user names
	GatewayHost string // the gateway's name, to dial and verify instead of HubHost; empty without a gateway
	DeviceID    string
	ModuleID    string // empty for a device

	Workload Workload // its URI is empty for the other two ways

	// GatewayCAFile is a PEM file with the only roots that may sign the gateway's
	// certificate. If it is empty, the system's roots apply. It is never set without
	// GatewayHost.
	GatewayCAFile string

	// SharedAccessKey is the key at start, in base64; empty for the other two ways. It is
	// exported because fmt ignores String methods of values in private fields.
	SharedAccessKey Secret

	file              string // Key reads the connection string from here again; may be empty
	certFile, keyFile string // PEM; empty for the other two ways
}

// Workload is a module's access to IoT Edge's workload API.
type Workload struct{ URI, GenerationID string }

// HasCertificate reports whether the identity authenticates with a certificate; see
// Certificate. An identity with neither a certificate nor a Workload has a Key.
func (i Identity) HasCertificate() bool { return i.certFile != "" }

// source is one variable, or group of variables, that can provide the identity.
type source struct {
	variable string
	set      bool
	read     func() (Identity, error)
}

// sources lists all sources by precedence: variables for this program first, then those
// of development tools, then those that IoT Edge sets for every module.
func (e *environment) sources() []source {
	text := func(variable string, s Secret) source {
		return source{variable, s != "", func() (Identity, error) { return e.fromText(variable, s) }}
	}
	return []source{
		text("RTSPTUNNEL_CONNECTION_STRING", e.own.ConnectionString),
		{"RTSPTUNNEL_CONNECTION_STRING_FILE", e.own.ConnectionStringFile != "", e.fromFile},
		text("EdgeHubConnectionString", e.simulated.edgeHub),
		text("IotHubConnectionString", e.simulated.iotHub),
		{"IOTEDGE_WORKLOADURI", e.injected.any(), e.injected.identity},
	}
}

// identity uses the first source that is set. ignored names the other ones that are set.
func (e *environment) identity() (id Identity, ignored []string, err error) {
	if e.own.ConnectionString != "" && e.own.ConnectionStringFile != "" {
		return Identity{}, nil, errors.New("RTSPTUNNEL_CONNECTION_STRING and RTSPTUNNEL_CONNECTION_STRING_FILE are both set: unset one")
	}
	first := ""
	for _, s := range e.sources() {
		switch {
		case !s.set:
		case first != "":
			ignored = append(ignored, s.variable+" is ignored: the identity comes from "+first)
		default:
			first = s.variable
			if id, err = s.read(); err != nil {
				return Identity{}, nil, err
			}
			id.Source = first
		}
	}
	if first == "" {
		return Identity{}, nil, errNoIdentity
	}
	return id, append(ignored, e.unused(id)...), nil
}

var errNoIdentity = errors.New("no identity: set RTSPTUNNEL_CONNECTION_STRING or RTSPTUNNEL_CONNECTION_STRING_FILE " +
	"to a device's or module's connection string, or run the module under IoT Edge, which sets IOTEDGE_WORKLOADURI and others")

// unused lists variables that are set but belong to another kind of identity.
func (e *environment) unused(id Identity) (ignored []string) {
	if id.Workload.URI != "" && (e.own.CertFile != "" || e.own.KeyFile != "") {
		ignored = append(ignored, "RTSPTUNNEL_CERT_FILE and RTSPTUNNEL_KEY_FILE are ignored: the identity comes from "+id.Source)
	}
	if e.simulated.caFile != "" && id.GatewayCAFile == "" {
		ignored = append(ignored, "EdgeModuleCACertificateFile is ignored: the connection string has no GatewayHostName")
	}
	return ignored
}

func (e *environment) fromText(variable string, s Secret) (Identity, error) {
	c, err := parseConnectionString(string(s))
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w", variable, err)
	}
	return e.fromConnectionString(variable, c)
}

func (e *environment) fromFile() (Identity, error) {
	const variable = "RTSPTUNNEL_CONNECTION_STRING_FILE"
	c, err := readConnectionString(e.own.ConnectionStringFile)
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w", variable, err)
	}
	id, err := e.fromConnectionString(variable, c)
	id.file = e.own.ConnectionStringFile
	return id, err
}

// fromConnectionString decides how the identity authenticates. Its error names
// everything that is missing.
func (e *environment) fromConnectionString(variable string, c connectionString) (Identity, error) {
	id := Identity{HubHost: c.host, GatewayHost: c.gateway, DeviceID: c.device, ModuleID: c.module, SharedAccessKey: c.key}
	if id.GatewayHost != "" {
		id.GatewayCAFile = e.simulated.caFile
	}
	var missing []string
	need := func(name, value string) {
		if value == "" {
			missing = append(missing, name)
		}
	}
	need("HostName", c.host)
	need("DeviceId", c.device)
	certificate := c.x509 || e.own.CertFile != "" || e.own.KeyFile != ""
	switch {
	case certificate && c.key != "":
		return Identity{}, fmt.Errorf("%s: it has a SharedAccessKey, but x509=true, RTSPTUNNEL_CERT_FILE or RTSPTUNNEL_KEY_FILE "+
			"selects a certificate: use only one of the two", variable)
	case certificate && c.module != "":
		return Identity{}, fmt.Errorf("%s: a module needs a SharedAccessKey; certificates are for devices only", variable)
	case certificate:
		need("RTSPTUNNEL_CERT_FILE", e.own.CertFile)
		need("RTSPTUNNEL_KEY_FILE", e.own.KeyFile)
		id.certFile, id.keyFile = e.own.CertFile, e.own.KeyFile
	default:
		need("SharedAccessKey", string(c.key))
	}
	if len(missing) > 0 {
		return Identity{}, fmt.Errorf("%s: not given: %s", variable, strings.Join(missing, ", "))
	}
	return id, nil
}

func (i *injected) any() bool {
	return i.IoTHubHostName != "" || i.GatewayHostName != "" || i.DeviceID != "" || i.ModuleID != "" ||
		i.ModuleGenerationID != "" || i.WorkloadURI != ""
}

// identity returns the identity of a module under IoT Edge, whose workload API signs
// tokens and provides the trusted roots.
func (i *injected) identity() (Identity, error) {
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"IOTHUBHOSTNAME", i.IoTHubHostName},
		{"GATEWAYHOSTNAME", i.GatewayHostName},
		{"DEVICEID", i.DeviceID},
		{"MODULEID", i.ModuleID},
		{"MODULEGENERATIONID", i.ModuleGenerationID},
		{"WORKLOADURI", i.WorkloadURI},
	} {
		if v.value == "" {
			missing = append(missing, edgePrefix+"_"+v.name)
		}
	}
	if len(missing) > 0 {
		return Identity{}, fmt.Errorf("not set: %s (IoT Edge's edge agent sets them for every module that it starts)",
			strings.Join(missing, ", "))
	}
	return Identity{
		HubHost: i.IoTHubHostName, GatewayHost: i.GatewayHostName, DeviceID: i.DeviceID, ModuleID: i.ModuleID,
		Workload: Workload{URI: i.WorkloadURI, GenerationID: i.ModuleGenerationID},
	}, nil
}

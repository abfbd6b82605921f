// Package config reads the edge module's environment, once, at start.
//
// The environment holds only what the module needs to reach the hub, to log and to
// bind. Everything else is in the module twin. A line belongs here when it reads a
// variable, or a credentials file that a variable names. Only the wiring sees these
// structs; other packages get plain values.
//
// The rules are:
//   - a missing identity is an error, because no hub can be reached without one;
//   - any other unknown or unusable variable is a [Fault], and its default is used;
//   - no error, fault or warning repeats any part of a connection string.
package config

import (
	"fmt"
	"net/url"
	"os"

	"github.com/kelseyhightower/envconfig"
)

// Module is the environment of the edge module.
type Module struct {
	Identity Identity
	// Protocol is auto, mqtt or mqttws.
	Protocol string
	// HubAddress and HubWSAddress are the host:port to dial for MQTT and for MQTT over
	// WebSocket. Empty means the name of the hub or gateway, with port 8883 or 443. They
	// do not change the names used in certificates, tokens and user names.
	HubAddress, HubWSAddress string
	// Proxy returns the site's HTTP proxy for an https URL, or nil to dial directly. An
	// error means that the proxy setting is unusable; there is no direct fallback. The
	// function is nil if no proxy is set.
	Proxy func(*url.URL) (*url.URL, error)
	// RemoteProxy returns the proxy for remote endpoints, given the twin's proxy.url and
	// proxy.noProxy, either of which may be empty. The hub is always reached by Proxy: a
	// twin comes from the hub, so it must not be able to cut that connection. An error
	// says why proxy.url is unusable. It completes a sentence that begins with "proxy.url"
	// and does not repeat the value.
	RemoteProxy func(address, noProxy string) (RemoteProxy, error)
	// AllowLoopbackRemote and AllowPlaintextRemote are for labs: remote endpoints may be
	// on this device, or use scheme ws.
	AllowLoopbackRemote, AllowPlaintextRemote bool
	// UserAgentSuffix is the device's make and model, appended to the User-Agent that
	// remote endpoints get; may be empty.
	UserAgentSuffix string
	// CAFile is a PEM file of roots to trust in addition to the system's; may be empty.
	CAFile string
	// MetricsListen is the host:port of /livez and /readyz; empty turns them off.
	MetricsListen string
	// RuntimeLogLevel is edge agent's log level: fatal, error, warning, info, debug or
	// verbose; empty if unset.
	RuntimeLogLevel string
	// InsideIoTEdge is set if edge agent started this process, whatever its identity.
	InsideIoTEdge bool
	// Ignored has one line for each variable that is set and valid but has no effect:
	// another source provides the identity, or the effect comes with a later version.
	Ignored []string
	// Faults are the variables that are set but unusable, so that their default is used.
	Faults []Fault
}

// Fault is a variable without effect. Its text never repeats the value.
type Fault struct{ Variable, Text string }

// String returns variable and text.
func (f Fault) String() string { return f.Variable + " " + f.Text }

// own holds rtsptunnel's own variables: RTSPTUNNEL_ and the field's name in capitals,
// words separated by underscores.
type own struct {
	ConnectionString     Secret `split_words:"true"`
	ConnectionStringFile string `split_words:"true"`
	CertFile             string `split_words:"true"`
	KeyFile              string `split_words:"true"`
	Protocol             string `split_words:"true"`
	HubAddress           string `split_words:"true"`
	HubWSAddress         string `split_words:"true"`
	CAFile               string `split_words:"true"`
	MetricsListen        string `split_words:"true"`
	AllowLoopbackRemote  string `split_words:"true"`
	AllowPlaintextRemote string `split_words:"true"`
	ProxyUsername        Secret `split_words:"true"`
	ProxyPassword        Secret `split_words:"true"`
	ProxyHost            string `split_words:"true"`
	UserAgentSuffix      string `split_words:"true"`
	DataDir              string `split_words:"true"`
}

// injected holds what edge agent sets for every module: IOTEDGE_ and the field's name
// in capitals.
type injected struct {
	IoTHubHostName     string
	GatewayHostName    string
	DeviceID           string
	ModuleID           string
	ModuleGenerationID string
	WorkloadURI        string
	AuthScheme         string
}

// simulated holds what a development tool sets instead: iotedgehubdev's variables, and
// the name that Microsoft's SDKs use for a module's connection string.
type simulated struct {
	edgeHub Secret
	caFile  string
	iotHub  Secret
}

// environment holds all variables.
type environment struct {
	own       own
	injected  injected
	simulated simulated
}

const (
	edgePrefix = "IOTEDGE"
	ownPrefix  = "RTSPTUNNEL"
)

// Read reads and checks the environment. An error means that no hub can be reached. It
// is one line and names everything that is missing. The Module returned with an error is
// only complete enough to configure logging.
func Read() (Module, error) {
	var e environment
	if err := e.read(); err != nil {
		return Module{}, err
	}
	m := Module{
		CAFile:          e.own.CAFile,
		RuntimeLogLevel: os.Getenv("RuntimeLogLevel"),
		InsideIoTEdge:   e.injected.WorkloadURI != "",
		Faults:          unknown(os.Environ()),
	}
	m.readTransport(e.own)
	m.readListen(e.own.MetricsListen)
	if scheme := e.injected.AuthScheme; scheme != "" && scheme != "sasToken" {
		m.Faults = append(m.Faults, Fault{"IOTEDGE_AUTHSCHEME", "is not sasToken; sasToken is used anyway"})
	}
	var err error
	if m.Identity, m.Ignored, err = e.identity(); err != nil {
		return m, withFaults(err, m.Faults)
	}
	if e.own.DataDir != "" {
		m.Ignored = append(m.Ignored, "RTSPTUNNEL_DATA_DIR is reserved and has no effect yet")
	}
	return m, nil
}

// read takes all values unchecked. The simulator's variables are read directly, because
// envconfig handles only names in capitals.
func (e *environment) read() error {
	if err := envconfig.Process(ownPrefix, &e.own); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if err := envconfig.Process(edgePrefix, &e.injected); err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	e.simulated = simulated{
		edgeHub: Secret(os.Getenv("EdgeHubConnectionString")),
		caFile:  os.Getenv("EdgeModuleCACertificateFile"),
		iotHub:  Secret(os.Getenv("IotHubConnectionString")),
	}
	return nil
}

// withFaults adds the faults to an error: a misspelt name is the most likely reason for
// a missing identity.
func withFaults(err error, faults []Fault) error {
	for _, f := range faults {
		err = fmt.Errorf("%w; %s", err, f)
	}
	return err
}

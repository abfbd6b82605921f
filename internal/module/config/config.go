// Package config reads the edge module's environment, once, at start.
//
// The environment holds only what is needed to reach the hub, to log and to bind;
// everything else is the module twin's. A line belongs here when it reads a
// variable, or a file that a variable names to prove an identity. The values go on
// as plain values: no other package but the main wiring sees these structs.
//
// The rules are:
//   - without an identity no hub can be reached: that is an error;
//   - any other variable that is unknown or unusable is a [Fault], and its default
//     is in force;
//   - no error, fault or warning repeats a connection string or a part of one.
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
	// HubAddress and HubWSAddress are the host:port to dial for the hub by MQTT and by
	// MQTT over WebSocket where that is not its name, or the gateway's, and port 8883
	// or 443; empty if it is. Every name in certificate, token and user name stays.
	HubAddress, HubWSAddress string
	// Proxy is the site's HTTP proxy on the way to an https URL, nil for none; an error
	// if the rules are no rules, and then there is no way. Nil if no proxy is set.
	Proxy func(*url.URL) (*url.URL, error)
	// RemoteProxy is the proxy on the way to remote endpoints, given the twin's proxy.url
	// and proxy.noProxy, which may be empty. The way to the hub stays Proxy: a twin comes
	// from the hub and must not cut the way to itself. An error says, as the rest of a
	// sentence about proxy.url, why it cannot be used; it does not repeat it.
	RemoteProxy func(address, noProxy string) (RemoteProxy, error)
	// AllowLoopbackRemote and AllowPlaintextRemote are a lab's: remote endpoints may be
	// this device itself, or have scheme ws.
	AllowLoopbackRemote, AllowPlaintextRemote bool
	// UserAgentSuffix is the device's make and model for remote endpoints, to stand after
	// the program's own; may be empty.
	UserAgentSuffix string
	// CAFile is a PEM file of roots to trust beside the system's; may be empty.
	CAFile string
	// MetricsListen is the host:port on which metrics and health are served; empty for
	// nowhere.
	MetricsListen string
	// RuntimeLogLevel is edge agent's word on logging: fatal, error, warning, info,
	// debug or verbose; empty if unset.
	RuntimeLogLevel string
	// InsideIoTEdge is set if edge agent started this process, whatever its identity.
	InsideIoTEdge bool
	// Ignored are variables that are set, and right, and without effect, because the
	// identity is another's or the effect is yet to come: a line for each.
	Ignored []string
	// Faults are variables whose default is in force although they are set.
	Faults []Fault
}

// Fault is a variable that has no effect. Its text never repeats the value.
type Fault struct{ Variable, Text string }

// String is variable and text.
func (f Fault) String() string { return f.Variable + " " + f.Text }

// own is what rtsptunnel alone reads: RTSPTUNNEL_ and the field's name in capitals,
// words parted by underscores.
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
	UserAgentSuffix      string `split_words:"true"`
	DataDir              string `split_words:"true"`
}

// injected is what edge agent sets for every module: IOTEDGE_ and the field's name
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

// simulated is what a development tool sets instead (iotedgehubdev, and the SDKs'
// own name for a module's connection string).
type simulated struct {
	edgeHub Secret
	caFile  string
	iotHub  Secret
}

// environment is all of it.
type environment struct {
	own       own
	injected  injected
	simulated simulated
}

const (
	edgePrefix = "IOTEDGE"
	ownPrefix  = "RTSPTUNNEL"
)

// Read reads and checks the environment. An error means that no hub can be reached;
// it is one line, names all that is missing at once, and the Module that comes with
// it is good for logging alone.
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
		m.Faults = append(m.Faults, Fault{"IOTEDGE_AUTHSCHEME", "is not sasToken, which is used all the same"})
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

// read takes all values as they are. envconfig knows capitals only, the tools of
// Azure do not write them.
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

// withFaults adds the faults to an error: a misspelt name is the likeliest reason
// for an identity that is missing.
func withFaults(err error, faults []Fault) error {
	for _, f := range faults {
		err = fmt.Errorf("%w; %s", err, f)
	}
	return err
}

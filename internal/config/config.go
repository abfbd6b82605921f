// Package config reads the edge module's environment, once, at start.
//
// The environment holds only what is needed to reach the hub, to log and to bind;
// everything else is the module twin's. A line belongs here when it reads a
// variable. The values go on as plain values: no other package but the main wiring
// sees these structs.
package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Module is the environment of the edge module.
type Module struct {
	Edge Edge
	Own  Own
	// RuntimeLogLevel is edge agent's word on logging: fatal, error, warning, info,
	// debug or verbose; empty if unset.
	RuntimeLogLevel string
}

// Edge is what edge agent injects into every module: IOTEDGE_ and the field's name
// in capitals.
type Edge struct {
	IoTHubHostName     string // IoT Hub's host name
	GatewayHostName    string // the edge device's, which the edge hub's certificate holds
	DeviceID           string
	ModuleID           string
	ModuleGenerationID string
	WorkloadURI        string // unix:///path or http://host:port
	AuthScheme         string `default:"sasToken"` // there is no other
}

// Own is what rtsptunnel alone reads: RTSPTUNNEL_ and the field's name in capitals,
// words parted by underscores.
type Own struct {
	// HubAddress is the host:port to dial for the hub where that is not the gateway's
	// name and port 8883. Every name in certificate, token and user name stays.
	HubAddress string `split_words:"true"`
	// CAFile is a PEM file of roots to trust for remote endpoints, beside the system's.
	CAFile string `split_words:"true"`
}

const (
	edgePrefix = "IOTEDGE"
	ownPrefix  = "RTSPTUNNEL"
)

// Read reads and checks the environment. The error names everything that is wrong
// at once. A warning is about a variable that is set and that nobody reads, such
// as a misspelt one; it may be nil.
func Read() (m Module, warning, err error) {
	if err := errors.Join(envconfig.Process(edgePrefix, &m.Edge), envconfig.Process(ownPrefix, &m.Own)); err != nil {
		return Module{}, nil, fmt.Errorf("read environment: %w", err)
	}
	m.RuntimeLogLevel = os.Getenv("RuntimeLogLevel") // envconfig reads capitals only
	return m, envconfig.CheckDisallowed(ownPrefix, &m.Own), m.validate()
}

// InsideIoTEdge tells whether edge agent started this process.
func (m Module) InsideIoTEdge() bool { return m.Edge.WorkloadURI != "" }

func (m Module) validate() error {
	var missing []string
	for _, v := range []struct{ name, value string }{
		{"IOTHUBHOSTNAME", m.Edge.IoTHubHostName},
		{"GATEWAYHOSTNAME", m.Edge.GatewayHostName},
		{"DEVICEID", m.Edge.DeviceID},
		{"MODULEID", m.Edge.ModuleID},
		{"MODULEGENERATIONID", m.Edge.ModuleGenerationID},
		{"WORKLOADURI", m.Edge.WorkloadURI},
	} {
		if v.value == "" {
			missing = append(missing, edgePrefix+"_"+v.name)
		}
	}
	var errs []error
	if len(missing) > 0 {
		errs = append(errs, fmt.Errorf("not set: %s (IoT Edge's edge agent sets them for every module that it starts)",
			strings.Join(missing, ", ")))
	}
	if m.Edge.AuthScheme != "sasToken" {
		errs = append(errs, fmt.Errorf("IOTEDGE_AUTHSCHEME is %q, want sasToken", m.Edge.AuthScheme))
	}
	if a := m.Own.HubAddress; a != "" {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("RTSPTUNNEL_HUB_ADDRESS is %q, want host:port", a))
		}
	}
	return errors.Join(errs...)
}

package config

import (
	"os"
	"slices"
	"strings"
)

// Variable is one variable of the environment, for people.
type Variable struct {
	Name    string
	Default string // what is in force without it; "none" for nothing
	Text    string // one line

	hidden bool // its value is a secret, or may become one by a mistake: a key in the variable of a file
}

// Variables are all that the module reads, in the order in which docs/RUNNING.md has
// them; a test holds the two and the code together.
var Variables = []Variable{
	{"RTSPTUNNEL_CONNECTION_STRING", "none", "a module's or device's connection string", true},
	{"RTSPTUNNEL_CONNECTION_STRING_FILE", "none", "a file that holds it", true},
	{"RTSPTUNNEL_CERT_FILE", "none", "a device's certificate and intermediates, PEM", true},
	{"RTSPTUNNEL_KEY_FILE", "none", "its private key, PEM", true},
	{"RTSPTUNNEL_CA_FILE", "none", "roots to trust beside the system's, PEM", true},
	{"RTSPTUNNEL_PROTOCOL", "auto", "mqtt (port 8883), mqttws (WebSocket, port 443) or auto", false},
	{"RTSPTUNNEL_HUB_ADDRESS", "the hub's or gateway's name, port 8883", "host:port to dial for MQTT", false},
	{"RTSPTUNNEL_HUB_WS_ADDRESS", "the hub's or gateway's name, port 443", "the same for MQTT over WebSocket", false},
	{"RTSPTUNNEL_METRICS_LISTEN", defaultListen, "host:port for /livez and /readyz, or off", false},
	{"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE", "false", "for a lab: remote endpoints may be this device itself", false},
	{"RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE", "false", "for a lab: remote endpoints may have scheme ws, without TLS", false},
	{"RTSPTUNNEL_PROXY_USERNAME", "none", "login for the twin's proxy, or for one without login below", true},
	{"RTSPTUNNEL_PROXY_PASSWORD", "none", "its password", true},
	{"RTSPTUNNEL_USER_AGENT_SUFFIX", "none", "make/model, added to the User-Agent that remote endpoints get", false},
	{"RTSPTUNNEL_DATA_DIR", "none", "reserved: a folder for what must survive a restart", false},
	{"EdgeHubConnectionString", "none", "the simulator's connection string", true},
	{"EdgeModuleCACertificateFile", "none", "the only roots for the gateway that it names, PEM", true},
	{"IotHubConnectionString", "none", "a connection string as Microsoft's SDKs name it", true},
	{"IOTEDGE_WORKLOADURI", "none", "edge agent's: the workload API", true},
	{"IOTEDGE_IOTHUBHOSTNAME", "none", "edge agent's: the hub's name", false},
	{"IOTEDGE_GATEWAYHOSTNAME", "none", "edge agent's: the edge device's name", false},
	{"IOTEDGE_DEVICEID", "none", "edge agent's: the edge device's id", false},
	{"IOTEDGE_MODULEID", "none", "edge agent's: the module's id", false},
	{"IOTEDGE_MODULEGENERATIONID", "none", "edge agent's: the generation of the module's identity", false},
	{"IOTEDGE_AUTHSCHEME", "sasToken", "edge agent's; there is no other", false},
	{"RuntimeLogLevel", "info", "fatal, error, warning, info, debug or verbose", false},
	{"https_proxy", "none", "the site's proxy, an http or https URL; also in capitals", true},
	{"http_proxy", "none", "the same for remote endpoints with scheme ws; also in capitals", true},
	{"no_proxy", "none", "names and networks not to reach through it; also in capitals", false},
	{"SSL_CERT_FILE", "the system's", "the system's roots, PEM", true},
	{"SSL_CERT_DIR", "the system's", "a folder of them", true},
}

// Setting is a variable with what is in force.
type Setting struct {
	Name, Value string // a value that is hidden is ***
	Origin      string // default or environment
}

const maxShown = 256 // bytes of a value that are told

// Settings are what is in force, without the variables that are unset and whose
// default is nothing.
func (m Module) Settings() []Setting {
	values := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	var settings []Setting
	for _, v := range Variables {
		value := values[v.Name]
		if strings.HasSuffix(v.Name, "_proxy") && value == "" {
			value = values[strings.ToUpper(v.Name)]
		}
		faulty := slices.ContainsFunc(m.Faults, func(f Fault) bool { return f.Variable == v.Name })
		switch {
		case value != "" && !faulty && v.hidden:
			settings = append(settings, Setting{v.Name, hidden, "environment"})
		case value != "" && !faulty:
			settings = append(settings, Setting{v.Name, value[:min(len(value), maxShown)], "environment"})
		case v.Default != "none":
			settings = append(settings, Setting{v.Name, v.Default, "default"})
		}
	}
	return settings
}

// ownNames are the variables with our prefix.
func ownNames() []string {
	var names []string
	for _, v := range Variables {
		if strings.HasPrefix(v.Name, ownPrefix+"_") {
			names = append(names, v.Name)
		}
	}
	return names
}

package config

import (
	"os"
	"slices"
	"strings"
)

// Variable describes one environment variable, for --help and --explain.
type Variable struct {
	Name    string
	Default string // the value without the variable; "none" if there is none
	Text    string // one line

	hidden bool // the value is a secret, or may be one by mistake: a key where a file's path belongs
}

// Variables lists everything that the module reads, in the order of docs/RUNNING.md. A
// test compares the list with that document and with the code.
var Variables = []Variable{
	{"RTSPTUNNEL_CONNECTION_STRING", "none", "a module's or device's connection string", true},
	{"RTSPTUNNEL_CONNECTION_STRING_FILE", "none", "a file that contains it", true},
	{"RTSPTUNNEL_CERT_FILE", "none", "a device's certificate and intermediates, PEM", true},
	{"RTSPTUNNEL_KEY_FILE", "none", "the certificate's private key, PEM", true},
	{"RTSPTUNNEL_CA_FILE", "none", "roots to trust in addition to the system's, PEM", true},
	{"RTSPTUNNEL_PROTOCOL", "auto", "mqtt (port 8883), mqttws (WebSocket, port 443) or auto", false},
	{"RTSPTUNNEL_HUB_ADDRESS", "the hub's or gateway's name, port 8883", "host:port to dial for MQTT", false},
	{"RTSPTUNNEL_HUB_WS_ADDRESS", "the hub's or gateway's name, port 443", "the same for MQTT over WebSocket", false},
	{"RTSPTUNNEL_METRICS_LISTEN", defaultListen, "host:port for /livez and /readyz, or off", false},
	{"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE", "false", "lab only: remote endpoints may be on this device", false},
	{"RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE", "false", "lab only: remote endpoints may use scheme ws, without TLS", false},
	{"RTSPTUNNEL_PROXY_USERNAME", "none", "user name for a proxy without a login in its URL", true},
	{"RTSPTUNNEL_PROXY_PASSWORD", "none", "its password", true},
	{"RTSPTUNNEL_PROXY_HOST", "none", "host or host:port of the only proxy that is sent this login", false},
	{"RTSPTUNNEL_USER_AGENT_SUFFIX", "none", "make/model, appended to the User-Agent that remote endpoints get", false},
	{"RTSPTUNNEL_DATA_DIR", "none", "reserved: a folder for data that survives a restart", false},
	{"EdgeHubConnectionString", "none", "the simulator's connection string", true},
	{"EdgeModuleCACertificateFile", "none", "the only roots trusted for that string's gateway, PEM", true},
	{"IotHubConnectionString", "none", "a connection string, under the name that Microsoft's SDKs use", true},
	{"IOTEDGE_WORKLOADURI", "none", "set by edge agent: the workload API", true},
	{"IOTEDGE_IOTHUBHOSTNAME", "none", "set by edge agent: the hub's name", false},
	{"IOTEDGE_GATEWAYHOSTNAME", "none", "set by edge agent: the edge device's name", false},
	{"IOTEDGE_DEVICEID", "none", "set by edge agent: the edge device's id", false},
	{"IOTEDGE_MODULEID", "none", "set by edge agent: the module's id", false},
	{"IOTEDGE_MODULEGENERATIONID", "none", "set by edge agent: the generation of the module's identity", false},
	{"IOTEDGE_AUTHSCHEME", "sasToken", "set by edge agent; sasToken is the only scheme", false},
	{"RuntimeLogLevel", "info", "fatal, error, warning, info, debug or verbose", false},
	{"https_proxy", "none", "the site's proxy, an http or https URL; also in capitals", true},
	{"http_proxy", "none", "the same for remote endpoints with scheme ws; also in capitals", true},
	{"no_proxy", "none", "names and networks to reach without a proxy; also in capitals", false},
	{"SSL_CERT_FILE", "the system's", "the system's roots, PEM", true},
	{"SSL_CERT_DIR", "the system's", "a folder of such roots", true},
}

// Setting is a variable with its effective value.
type Setting struct {
	Name, Value string // a hidden value is ***
	Origin      string // default or environment
}

const maxShown = 256 // bytes of a value that Settings returns

// Settings returns the effective values. It leaves out unset variables without a
// default.
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

// ownNames returns the variables with our prefix.
func ownNames() []string {
	var names []string
	for _, v := range Variables {
		if strings.HasPrefix(v.Name, ownPrefix+"_") {
			names = append(names, v.Name)
		}
	}
	return names
}

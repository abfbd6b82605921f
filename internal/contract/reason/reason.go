// Package reason is the closed list of reason codes: why a tunnel could not be
// opened, why one ended, why there is no hub connection, and why the module is not
// what it was told to be. The codes appear in log lines and reported properties, and
// later in metrics; a code, once released, is never renamed nor used for something
// else.
//
// A line of code belongs here when it adds a code or changes a code's text. The
// package is pure and imports nothing of ours.
package reason

import "errors"

// Code is one reason, stable over versions. The empty Code is not a reason.
type Code string

// Why a tunnel could not be opened.
const (
	RequestJSON     Code = "REQ_JSON"
	RequestField    Code = "REQ_FIELD"
	RequestType     Code = "REQ_TYPE"
	RequestEndpoint Code = "REQ_ENDPOINT"
	RequestToken    Code = "REQ_TOKEN"
	PortNotAllowed  Code = "PORT_NOT_ALLOWED"
	CameraRefused   Code = "CAM_REFUSED"
	CameraTimeout   Code = "CAM_TIMEOUT"
	CameraDNS       Code = "CAM_DNS"
	RemoteHTTP      Code = "WS_HTTP"
	RemoteDNS       Code = "WS_DNS"
	RemoteRefused   Code = "WS_REFUSED"
	RemoteTLSExpiry Code = "WS_TLS_EXPIRED"
	RemoteTLSName   Code = "WS_TLS_NAME"
	RemoteTLSCA     Code = "WS_TLS_CA"
	RemoteUpgrade   Code = "WS_BAD_UPGRADE"
	RemoteTimeout   Code = "WS_TIMEOUT"
	ProxyLogin      Code = "PROXY_407"
	ProxyHTTP       Code = "PROXY_HTTP"
	ProxyDown       Code = "PROXY_DOWN"
	UnknownMethod   Code = "METHOD_UNKNOWN"
	ShuttingDown    Code = "SHUTTING_DOWN"
	Internal        Code = "INTERNAL"
)

// Why a request is refused before anything is dialled. PolicyRemote and Disabled end
// tunnels too, as ShuttingDown does.
const (
	RequestSize  Code = "REQ_SIZE"
	PolicyRemote Code = "POLICY_REMOTE"
	CameraBusy   Code = "CAM_BUSY"
	LimitTunnels Code = "LIMIT_TUNNELS"
	Disabled     Code = "DISABLED"
)

// Why the module ended a tunnel whose camera is not what it was.
const (
	CameraRemoved  Code = "CAM_REMOVED"
	CameraChanged  Code = "CAM_CHANGED"
	CameraDisabled Code = "CAM_DISABLED"
)

// Why the module ended a tunnel that nothing forbids.
const (
	LimitIdle Code = "LIMIT_IDLE"
	LimitAge  Code = "LIMIT_AGE"
)

// Why a tunnel ended by itself.
const (
	CameraClosed Code = "CAM_CLOSED"
	CameraLost   Code = "CAM_LOST"
	RemoteClosed Code = "WS_CLOSED"
	RemoteLost   Code = "WS_LOST"
)

// Why there is no hub connection. The proxy's codes are the tunnels' own.
const (
	HubDNS          Code = "HUB_DNS"
	HubRefused      Code = "HUB_REFUSED"
	HubTimeout      Code = "HUB_TIMEOUT"
	HubTLSExpired   Code = "HUB_TLS_EXPIRED"
	HubTLSNotYet    Code = "HUB_TLS_NOT_YET"
	HubTLSName      Code = "HUB_TLS_NAME"
	HubTLSCA        Code = "HUB_TLS_CA"
	HubTLS          Code = "HUB_TLS"
	HubUpgrade      Code = "HUB_BAD_UPGRADE"
	HubLogin        Code = "HUB_LOGIN"
	HubUnavailable  Code = "HUB_UNAVAILABLE"
	HubProtocol     Code = "HUB_PROTOCOL"
	HubSubscription Code = "HUB_SUBSCRIPTION"
	HubTwin         Code = "HUB_TWIN"
	HubTwinOld      Code = "HUB_TWIN_OLD"
	HubReport       Code = "HUB_REPORT"
	HubLost         Code = "HUB_LOST"
	HubCredentials  Code = "HUB_CREDENTIALS"
	HubWorkload     Code = "HUB_WORKLOAD"
)

// Why the module is degraded.
const (
	ConfigEnvironment Code = "CFG_ENV"
	HealthListen      Code = "HEALTH_LISTEN"
	LoopStuck         Code = "LOOP_STUCK"
)

// Why the module is not ready. ShuttingDown is such a reason, too.
const (
	HubNotConnected  Code = "HUB_NOT_CONNECTED"
	HubNotSubscribed Code = "HUB_NOT_SUBSCRIBED"
	TwinNotApplied   Code = "TWIN_NOT_APPLIED"
)

// What is wrong with a value of the configuration.
const (
	ConfigType      Code = "CFG_TYPE"
	ConfigRange     Code = "CFG_RANGE"
	ConfigFormat    Code = "CFG_FORMAT"
	ConfigMissing   Code = "CFG_MISSING"
	ConfigDuplicate Code = "CFG_DUPLICATE"
	ConfigSize      Code = "CFG_SIZE"
	ConfigProxy     Code = "CFG_PROXY"
)

// Why the module is degraded: what a lab may do, and a site may not.
const (
	LabLoopback  Code = "LAB_LOOPBACK"
	LabPlaintext Code = "LAB_PLAINTEXT"
)

var texts = map[Code]string{
	RequestJSON:     "the payload is not a JSON object",
	RequestField:    "a member of the request is missing or empty",
	RequestType:     "a member of the request has the wrong type",
	RequestEndpoint: "the remote endpoint is not a wss URL that can be dialled",
	RequestToken:    "the authorization token cannot be sent in a header",
	PortNotAllowed:  "no camera has this local port",
	CameraRefused:   "the camera refused the connection or cannot be reached",
	CameraTimeout:   "the camera did not answer in time",
	CameraDNS:       "the camera's name does not resolve",
	RemoteHTTP:      "the remote endpoint answered with an error status",
	RemoteDNS:       "the remote endpoint's name does not resolve",
	RemoteRefused:   "the remote endpoint refused the connection or cannot be reached",
	RemoteTLSExpiry: "the remote endpoint's certificate is expired or not yet valid: check the device's clock",
	RemoteTLSName:   "the remote endpoint's certificate is for another name",
	RemoteTLSCA:     "the remote endpoint's certificate is signed by an unknown authority",
	RemoteUpgrade:   "the remote endpoint did not answer with a WebSocket",
	RemoteTimeout:   "the remote endpoint did not answer in time",
	ProxyLogin:      "the proxy wants a login, or another one",
	ProxyHTTP:       "the proxy answered with an error status",
	ProxyDown:       "the proxy cannot be reached or does not speak HTTP",
	UnknownMethod:   "the module has no direct method of this name",
	ShuttingDown:    "shutting down",
	Internal:        "internal error",
	CameraClosed:    "the camera ended the connection in order",
	CameraLost:      "the connection to the camera broke",
	RemoteClosed:    "the remote endpoint ended the tunnel in order",
	RemoteLost:      "the connection to the remote endpoint broke",

	RequestSize:  "the payload or a member of it is too long, or too deep",
	PolicyRemote: "the remote endpoint is not one that this device may reach",
	CameraBusy:   "the camera has as many tunnels as it may have",
	LimitTunnels: "there are as many tunnels as there may be",
	Disabled:     "tunnels are switched off",

	CameraRemoved:  "the camera was removed from the configuration",
	CameraChanged:  "the camera's address or local port was changed",
	CameraDisabled: "the camera was switched off",

	LimitIdle: "no byte went either way for as long as the configuration allows",
	LimitAge:  "the tunnel was open for as long as the configuration allows",

	HubDNS:          "the hub's name does not resolve: check the name and the site's DNS",
	HubRefused:      "the hub refused the connection or cannot be reached: check that it runs and that the firewall lets its port through",
	HubTimeout:      "the hub did not answer in time: check that the firewall lets its port through",
	HubTLSExpired:   "the hub's certificate is expired: renew it there, or set this device's clock",
	HubTLSNotYet:    "the hub's certificate is not yet valid: set this device's clock",
	HubTLSName:      "the hub's certificate is for another name: check the host name in the connection string, or in IoT Edge's config.toml",
	HubTLSCA:        "the hub's certificate is signed by an unknown authority: check the trust bundle, or the roots as docs/RUNNING.md has them",
	HubTLS:          "no TLS 1.2 or newer with the hub: check who answers at its address",
	HubUpgrade:      "the hub did not answer with a WebSocket for MQTT: check who answers at its address",
	HubLogin:        "the hub refused the login: check key or certificate, that the identity exists and is enabled, and this device's clock",
	HubUnavailable:  "the hub says that it is not available now",
	HubProtocol:     "the hub does not speak MQTT 3.1.1 as it should: check who answers at its address",
	HubSubscription: "the hub refused a subscription or did not acknowledge it",
	HubTwin:         "the hub did not give the twin",
	HubTwinOld:      "the hub gave an empty or older twin, which is not believed",
	HubReport:       "the hub did not take the reported properties",
	HubLost:         "the connection to the hub broke",
	HubCredentials:  "key, certificate or roots cannot be had: check the file that the error names",
	HubWorkload:     "IoT Edge's workload API fails: check that aziot-edged runs and that its socket is mounted",

	ConfigEnvironment: "a variable of the environment is unknown or cannot be used",
	HealthListen:      "health cannot be served on its address: another program has it, most likely",
	LoopStuck:         "an event loop does not turn any more: the module must be restarted",

	HubNotConnected:  "there is no hub connection: the log says why, and when the next attempt is",
	HubNotSubscribed: "the hub connection is there, direct methods are not yet subscribed",
	TwinNotApplied:   "no configuration was applied: the hub gave no twin that can be read",

	ConfigType:      "a value of the configuration has the wrong type",
	ConfigRange:     "a value of the configuration is not one of those allowed",
	ConfigFormat:    "a name or a text of the configuration is not written as it must be",
	ConfigMissing:   "a value of the configuration is missing",
	ConfigDuplicate: "the configuration has something twice that there may be once",
	ConfigSize:      "the configuration is too large, too deep or has too many entries",
	ConfigProxy:     "the configuration's proxy is not an http or https URL without a login",

	LabLoopback:  "RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE is set: endpoints may lead back to this device",
	LabPlaintext: "RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE is set: tokens and video may go out without TLS",
}

// Text is the one-line text of the code for people, without a full stop. An
// unknown code is its own text.
func (c Code) Text() string {
	if t, ok := texts[c]; ok {
		return t
	}
	return string(c)
}

// Codes is every code there is, in no particular order.
func Codes() []Code {
	codes := make([]Code, 0, len(texts))
	for c := range texts {
		codes = append(codes, c)
	}
	return codes
}

// Error is an error whose cause has a reason code. Err is for the log only: it
// may hold addresses.
type Error struct {
	Code Code
	Err  error // may be nil
}

// Error is the code, followed by the cause if there is one.
func (e *Error) Error() string {
	if e.Err == nil {
		return string(e.Code) + ": " + e.Code.Text()
	}
	return string(e.Code) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns err with a reason code. err may be nil.
func New(c Code, err error) error { return &Error{Code: c, Err: err} }

// Of is the reason code that err carries, or Internal if it carries none; it is
// empty for a nil error.
func Of(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

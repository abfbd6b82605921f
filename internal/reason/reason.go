// Package reason is the closed list of reason codes: why a tunnel could not be
// opened, why one ended, and why the module is not what it was told to be. The
// codes appear in log lines and reported properties, and later in metrics; a code, once released, is never renamed nor used for
// something else.
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

// Why a tunnel ended. ShuttingDown ends tunnels too.
const (
	CameraClosed Code = "CAM_CLOSED"
	CameraLost   Code = "CAM_LOST"
	RemoteClosed Code = "WS_CLOSED"
	RemoteLost   Code = "WS_LOST"
)

// Why the module is degraded.
const (
	ConfigEnvironment Code = "CFG_ENV"
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

	ConfigEnvironment: "a variable of the environment is unknown or cannot be used",
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

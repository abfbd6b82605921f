package tunnelopen

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rtsptunnel/internal/reason"
)

// The messages of the contract ("Error responses") and, below the first two, of
// ours where the contract is silent. None holds user data.
const (
	messagePort          = "Local port is not available"
	messageCamera        = "Could not connect to RTSP endpoint"
	messageInvalid       = "Invalid request: "
	messageRemote        = "Could not connect to remote endpoint"
	messageRemoteTimeout = "Timed out connecting to remote endpoint"
	messageProxy         = "Proxy refused the connection"
	messageShuttingDown  = "Shutting down"
	messageInternal      = "Internal error"
	messageUnknown       = "Unknown method"
)

const (
	maxTarget  = 2 << 10 // bytes of the caller's endpoint that are echoed
	maxMessage = 120     // characters of the remote end's own words
)

// Error is a request that was not fulfilled: the contract's error body, with a
// reason and a cause for the log beside it.
type Error struct {
	Status  int         // the method's status; the body's code is the same number
	Target  string      // "{camera host}:{localPort}", or the remote endpoint
	Message string      // short, without anything that identifies a person
	Reason  reason.Code // for the log only
	Err     error       // for the log only; may be nil
}

// Error is for the log: the message, and the cause if there is one.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// body has exactly the members of "Error responses"; code is a string there.
type body struct {
	Code    string `json:"code"`
	Target  string `json:"target"`
	Message string `json:"message"`
}

// PortUnavailable says that no camera has the local port that target ends with.
func PortUnavailable(target string) error {
	return &Error{Status: http.StatusBadRequest, Target: target, Message: messagePort, Reason: reason.PortNotAllowed}
}

// CameraUnreachable says that the camera at target did not take a TCP connection.
func CameraUnreachable(target string, err error) error {
	return &Error{
		Status: http.StatusBadRequest, Target: target, Message: messageCamera,
		Reason: reason.Of(err), Err: err,
	}
}

// RemoteUnreachable says that no answer came from the endpoint that could be passed on.
// 502, or 504 when err's reason is a timeout. A proxy that stands in the way says so
// in the message, never by its own status: its 407 is not the endpoint's 401.
func RemoteUnreachable(endpoint string, err error) error {
	e := &Error{
		Status: http.StatusBadGateway, Target: endpointTarget(endpoint), Message: messageRemote,
		Reason: reason.Of(err), Err: err,
	}
	switch e.Reason {
	case reason.RemoteTimeout:
		e.Status, e.Message = http.StatusGatewayTimeout, messageRemoteTimeout
	case reason.ProxyLogin, reason.ProxyHTTP, reason.ProxyDown:
		e.Message = messageProxy
	}
	return e
}

// RemoteAnswered says that the endpoint answered status (300 to 599) with the reason
// phrase of its status line instead of a WebSocket; both are passed on. The
// phrase is the remote end's to choose, so it is cleaned, and replaced by the
// status's own text if it repeats a part of the token.
func RemoteAnswered(r Request, status int, phrase string, err error) error {
	message := printable(phrase)
	if message == "" || repeats(message, string(r.Token)) {
		message = http.StatusText(status)
	}
	if message == "" {
		message = "HTTP status " + strconv.Itoa(status)
	}
	return &Error{
		Status: status, Target: endpointTarget(r.RemoteEndpoint), Message: message,
		Reason: reason.RemoteHTTP, Err: err,
	}
}

// ShuttingDown says that the module is ending and opens nothing any more.
func ShuttingDown() error {
	return &Error{
		Status: http.StatusServiceUnavailable, Target: MethodName, Message: messageShuttingDown,
		Reason: reason.ShuttingDown,
	}
}

// UnknownMethod says that a direct method was called that the module does not have.
func UnknownMethod(name string) error {
	return &Error{
		Status: http.StatusNotFound, Target: printable(name), Message: messageUnknown,
		Reason: reason.UnknownMethod,
	}
}

func invalid(code reason.Code, target, member string, err error) error {
	if target != MethodName {
		target = endpointTarget(target)
	}
	return &Error{
		Status: http.StatusBadRequest, Target: target, Message: messageInvalid + member,
		Reason: code, Err: err,
	}
}

// Response is the direct method's answer for the outcome err: 200 and an empty
// object for nil, else the contract's error body with its status. This is the one
// place where a foreign error becomes an internal one.
func Response(err error) (status int, payload []byte) {
	if err == nil {
		return http.StatusOK, []byte("{}")
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Status: http.StatusInternalServerError, Target: MethodName, Message: messageInternal}
	}
	payload, err = json.Marshal(body{Code: strconv.Itoa(e.Status), Target: e.Target, Message: e.Message})
	if err != nil { // three strings always marshal
		return http.StatusInternalServerError, nil
	}
	return e.Status, payload
}

// Refused reads an answer other than 200 at the caller's end, as Response wrote
// it. An answer of another shape keeps its status and has neither target nor
// message.
func Refused(status int, payload []byte) *Error {
	var b body
	if err := json.Unmarshal(payload, &b); err != nil {
		return &Error{Status: status}
	}
	return &Error{Status: status, Target: printable(b.Target), Message: printable(b.Message)}
}

// endpointTarget is the endpoint as the caller sent it, without userinfo and not
// endlessly long.
func endpointTarget(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.User != nil {
		u.User = nil
		endpoint = u.String()
	} else if err != nil && strings.Contains(endpoint, "@") {
		return MethodName // not a URL, and it may hold a login
	}
	return strings.ToValidUTF8(endpoint[:min(len(endpoint), maxTarget)], "")
}

// printable keeps printable ASCII and cuts at maxMessage characters.
func printable(s string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSpace(s)) {
		if c >= ' ' && c <= '~' {
			b.WriteByte(c)
		}
		if b.Len() == maxMessage {
			break
		}
	}
	return strings.TrimSpace(b.String())
}

// repeats tells whether s holds a part of the token longer than 8 characters, or
// the whole of a shorter token.
func repeats(s, token string) bool {
	const part = 9
	if len(token) < part {
		return token != "" && strings.Contains(s, token)
	}
	for i := 0; i+part <= len(token); i++ {
		if strings.Contains(s, token[i:i+part]) {
			return true
		}
	}
	return false
}

package tunnelopen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"rtsptunnel/internal/contract/reason"
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
	messageForbidden     = "Remote endpoint is not allowed"
	messageTooMany       = "Too many tunnels"
	messageDisabled      = "Tunnels are disabled"
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
	Target  string      // "{camera host}:{localPort}", the remote endpoint, or MethodName
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

// PortUnavailable says that no camera has this local port, whatever the number.
func PortUnavailable(localPort int) error {
	return &Error{
		Status: http.StatusBadRequest, Target: "localhost:" + strconv.Itoa(localPort), Message: messagePort,
		Reason: reason.PortNotAllowed,
	}
}

// RemoteForbidden says that the device's policy does not allow the endpoint.
func RemoteForbidden(endpoint string, err error) error {
	return &Error{
		Status: http.StatusForbidden, Target: endpointTarget(endpoint), Message: messageForbidden,
		Reason: reason.PolicyRemote, Err: err,
	}
}

// TooManyTunnels says that a cap is reached: reason.CameraBusy for the camera's own,
// reason.LimitTunnels for that of all cameras. The target is the camera's for both,
// since the camera is known by then and the caller can ask for it again.
func TooManyTunnels(target string, which reason.Code) error {
	return &Error{Status: http.StatusTooManyRequests, Target: target, Message: messageTooMany, Reason: which}
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

// Disabled says that the operator has switched tunnels off.
func Disabled() error {
	return &Error{
		Status: http.StatusServiceUnavailable, Target: MethodName, Message: messageDisabled,
		Reason: reason.Disabled,
	}
}

// UnknownMethod says that a direct method was called that the module does not have.
func UnknownMethod(name string) error {
	return &Error{
		Status: http.StatusNotFound, Target: printable(name), Message: messageUnknown,
		Reason: reason.UnknownMethod,
	}
}

// invalid says that a member of the request, or its payload as a whole, is not what
// it must be. target is the remote endpoint where that was readable and is what the
// member is about, else MethodName.
func invalid(err error, target, member string) error {
	if target != MethodName {
		target = endpointTarget(target)
	}
	return &Error{
		Status: http.StatusBadRequest, Target: target, Message: messageInvalid + member,
		Reason: reason.Of(err), Err: err,
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
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // an endpoint's & stays as it was sent
	if err := enc.Encode(body{Code: strconv.Itoa(e.Status), Target: e.Target, Message: e.Message}); err != nil {
		return http.StatusInternalServerError, nil // three strings always encode
	}
	return e.Status, escape(bytes.TrimSpace(b.Bytes()))
}

// escape writes all but ASCII as \u escapes: the caller's own words come back to it
// unchanged, and cannot steer the terminal of somebody who looks at the raw body.
func escape(payload []byte) []byte {
	var out []byte
	for _, c := range string(payload) {
		if c < 0x7f {
			out = utf8.AppendRune(out, c)
			continue
		}
		for _, unit := range utf16.Encode([]rune{c}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
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
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "", (err != nil || u.Host == "") && strings.Contains(endpoint, "@"):
		return MethodName // nothing to echo, or no URL with a host, and it may hold a login
	case err == nil && u.User != nil:
		u.User = nil
		endpoint = u.String()
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

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

// The first two messages are the contract's ("Error responses"). The others are ours, for
// cases that the contract does not list. No message holds user data.
const (
	messagePort          = "Local port is not available"
	messageCamera        = "Could not connect to RTSP endpoint"
	messageInvalid       = "Invalid request: "
	messageRemote        = "Could not connect to remote endpoint"
	messageRemoteTimeout = "Timed out connecting to remote endpoint"
	messageProxy         = "Proxy refused the connection"
	messageForbidden     = "Remote endpoint is not allowed"
	messageTooMany       = "Too many tunnels"
	messageCalls         = "Too many calls"
	messageDisabled      = "Tunnels are disabled"
	messageShuttingDown  = "Shutting down"
	messageResources     = "Module is out of resources"
	messageInternal      = "Internal error"
	messageUnknown       = "Unknown method"
)

const (
	maxTarget  = 2 << 10 // bytes of the caller's endpoint that are returned
	maxMessage = 120     // characters of the remote end's reason phrase
)

// Error is the error of a request: the contract's error body, and a reason and a cause for
// the log.
type Error struct {
	Status  int         // status of the direct method; code in the body is the same number
	Target  string      // "{camera host}:{localPort}", the remote endpoint, or MethodName
	Message string      // short, without personal data
	Reason  reason.Code // for the log only
	Err     error       // for the log only; may be nil
}

// Error returns the message, and the cause if there is one. It is for the log only.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// body has exactly the members of "Error responses", where code is a string.
type body struct {
	Code    string `json:"code"`
	Target  string `json:"target"`
	Message string `json:"message"`
}

// PortUnavailable is the error if no camera has this local port.
func PortUnavailable(localPort int) error {
	return &Error{
		Status: http.StatusBadRequest, Target: "localhost:" + strconv.Itoa(localPort), Message: messagePort,
		Reason: reason.PortNotAllowed,
	}
}

// RemoteForbidden is the error if the device's policy does not allow the endpoint.
func RemoteForbidden(endpoint string, err error) error {
	return &Error{
		Status: http.StatusForbidden, Target: endpointTarget(endpoint), Message: messageForbidden,
		Reason: reason.PolicyRemote, Err: err,
	}
}

// TooManyTunnels is the error if a maximum is reached: reason.CameraBusy for one camera,
// reason.LimitTunnels for all cameras together. The target is the camera in both cases,
// so that the caller can retry it.
func TooManyTunnels(target string, which reason.Code) error {
	return &Error{Status: http.StatusTooManyRequests, Target: target, Message: messageTooMany, Reason: which}
}

// TooManyCalls is the error if a direct method arrives while as many calls run as may. Its
// payload was not read, so the target is the method's name.
func TooManyCalls(name string) error {
	return &Error{
		Status: http.StatusTooManyRequests, Target: printable(name), Message: messageCalls,
		Reason: reason.LimitCalls,
	}
}

// CameraUnreachable is the error if the camera at target did not accept a TCP connection. It
// is 503 if err's reason is an own shortage, so that the camera is not blamed.
func CameraUnreachable(target string, err error) error {
	if reason.Of(err) == reason.NoResources {
		return outOfResources(err)
	}
	return &Error{
		Status: http.StatusBadRequest, Target: target, Message: messageCamera,
		Reason: reason.Of(err), Err: err,
	}
}

// outOfResources is the error if this process lacks what a dial needs. The target is neither
// camera nor endpoint, since neither has the fault.
func outOfResources(err error) error {
	return &Error{
		Status: http.StatusServiceUnavailable, Target: MethodName, Message: messageResources,
		Reason: reason.NoResources, Err: err,
	}
}

// RemoteUnreachable is the error if the endpoint gave no answer that can be passed on: 502,
// 504 if err's reason is a timeout, or 503 if it is an own shortage. A failed proxy is named
// in the message; its status is not passed on, since its 407 is not the endpoint's 401.
func RemoteUnreachable(endpoint string, err error) error {
	e := &Error{
		Status: http.StatusBadGateway, Target: endpointTarget(endpoint), Message: messageRemote,
		Reason: reason.Of(err), Err: err,
	}
	switch e.Reason {
	case reason.RemoteTimeout:
		e.Status, e.Message = http.StatusGatewayTimeout, messageRemoteTimeout
	case reason.NoResources:
		return outOfResources(err)
	case reason.ProxyLogin, reason.ProxyHTTP, reason.ProxyDown:
		e.Message = messageProxy
	}
	return e
}

// RemoteAnswered is the error if the endpoint answered with an HTTP status (300 to 599)
// instead of a WebSocket. The status and the reason phrase of its status line are passed
// on. The phrase is untrusted: only printable ASCII is kept, and the standard text of the
// status replaces it if it repeats a part of the token.
func RemoteAnswered(r Request, status int, phrase string, err error) error {
	message := printable(phrase)
	if message == "" || holdsTokenPart(message, string(r.Token)) {
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

// ShuttingDown is the error while the module shuts down.
func ShuttingDown() error {
	return &Error{
		Status: http.StatusServiceUnavailable, Target: MethodName, Message: messageShuttingDown,
		Reason: reason.ShuttingDown,
	}
}

// Disabled is the error if the operator has switched tunnels off.
func Disabled() error {
	return &Error{
		Status: http.StatusServiceUnavailable, Target: MethodName, Message: messageDisabled,
		Reason: reason.Disabled,
	}
}

// UnknownMethod is the error for a direct method that the module does not have.
func UnknownMethod(name string) error {
	return &Error{
		Status: http.StatusNotFound, Target: printable(name), Message: messageUnknown,
		Reason: reason.UnknownMethod,
	}
}

// invalid is the error for an invalid member of the request, or an invalid payload. target
// is the remote endpoint if it was decoded and the member concerns it, else MethodName.
func invalid(err error, target, member string) error {
	if target != MethodName {
		target = endpointTarget(target)
	}
	return &Error{
		Status: http.StatusBadRequest, Target: target, Message: messageInvalid + member,
		Reason: reason.Of(err), Err: err,
	}
}

// Response returns the answer of the direct method: 200 and an empty object for a nil err,
// else the status and body of the *Error in err's chain. Any other error is answered with
// 500 and no detail.
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
	enc.SetEscapeHTML(false) // & in an endpoint stays unchanged
	if err := enc.Encode(body{Code: strconv.Itoa(e.Status), Target: e.Target, Message: e.Message}); err != nil {
		return http.StatusInternalServerError, nil // three strings always encode
	}
	return e.Status, escape(bytes.TrimSpace(b.Bytes()))
}

// escape writes every character that is not printable ASCII as \u escapes. The caller decodes its own text
// unchanged, and control sequences cannot reach a terminal that shows the raw body.
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

// endpointTarget returns the endpoint as the caller sent it, without userinfo and at most
// maxTarget bytes of it.
func endpointTarget(endpoint string) string {
	if endpoint == "" {
		return MethodName
	}
	if strings.Contains(endpoint, "@") { // otherwise there is no userinfo
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" {
			return MethodName // no URL with a host, and it may hold credentials
		}
		if u.User != nil {
			u.User = nil
			endpoint = u.String()
		}
	}
	return strings.ToValidUTF8(endpoint[:min(len(endpoint), maxTarget)], "")
}

// printable returns the printable ASCII of s, at most maxMessage characters.
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

// holdsTokenPart tells whether s holds more than 8 successive characters of the token, or
// all of a shorter token.
func holdsTokenPart(s, token string) bool {
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

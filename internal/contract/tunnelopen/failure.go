package tunnelopen

import (
	"encoding/json"
	"net/http"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// DecodeFailure decodes an answer of Response with a status other than 200, for the
// caller that sent r. A body of another shape results in an Error with the status only.
// Target and Message are untrusted, and reduced to printable ASCII.
//
// Reason is the code that the answer stands for, empty if it is none of Response's. The
// body does not distinguish all codes: those of one message have one representative,
// such as reason.CameraRefused for each camera that cannot be reached.
func DecodeFailure(r Request, status int, payload []byte) *Error {
	var b body
	if err := json.Unmarshal(payload, &b); err != nil {
		return &Error{Status: status}
	}
	e := &Error{Status: status, Target: printable(b.Target), Message: printable(b.Message)}
	e.Reason = answers[answer{status, e.Message}]
	if e.Reason == "" && status >= 300 && status <= 599 && isEndpoint(r, e.Target) {
		e.Reason = reason.RemoteHTTP // any status, and any phrase
	}
	return e
}

// answer is what identifies an error in Response's body.
type answer struct {
	status  int
	message string
}

// answers has the reason of each message, or the representative of several reasons.
var answers = map[answer]reason.Code{
	{http.StatusBadRequest, messagePort}:                     reason.PortNotAllowed,
	{http.StatusBadRequest, messageCamera}:                   reason.CameraRefused, // or CameraTimeout, CameraDNS
	{http.StatusBadRequest, messageInvalid + memberPayload}:  reason.RequestJSON,
	{http.StatusBadRequest, messageInvalid + memberEndpoint}: reason.RequestEndpoint,
	{http.StatusBadRequest, messageInvalid + memberToken}:    reason.RequestToken,
	{http.StatusBadRequest, messageInvalid + memberPort}:     reason.RequestType,
	{http.StatusForbidden, messageForbidden}:                 reason.PolicyRemote,
	{http.StatusTooManyRequests, messageTooMany}:             reason.LimitTunnels, // or CameraBusy
	{http.StatusTooManyRequests, messageCalls}:               reason.LimitCalls,
	{http.StatusBadGateway, messageRemote}:                   reason.RemoteRefused, // or WS_DNS, WS_TLS_*, WS_BAD_UPGRADE
	{http.StatusBadGateway, messageProxy}:                    reason.ProxyHTTP,     // or PROXY_407, PROXY_DOWN
	{http.StatusGatewayTimeout, messageRemoteTimeout}:        reason.RemoteTimeout,
	{http.StatusServiceUnavailable, messageDisabled}:         reason.Disabled,
	{http.StatusServiceUnavailable, messageShuttingDown}:     reason.ShuttingDown,
	{http.StatusServiceUnavailable, messageResources}:        reason.NoResources,
	{http.StatusNotFound, messageUnknown}:                    reason.UnknownMethod,
	{http.StatusInternalServerError, messageInternal}:        reason.Internal,
}

// isEndpoint tells whether a target is r's remote endpoint, which an answer may cut.
func isEndpoint(r Request, target string) bool {
	return target != "" && strings.HasPrefix(endpointTarget(r.RemoteEndpoint), target)
}

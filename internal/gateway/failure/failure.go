// Package failure is the gateway's one form of an error: which hop between viewer and
// camera failed, why, since when, and when the gateway tries again. Every output, the API,
// the log and the metrics show the same values.
//
// Code belongs here if it describes or classifies a failure. The package is pure; it does
// not know protocols other than HTTP's status codes, which are values.
package failure

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Hop is one step of the path between a viewer and a camera's pictures.
type Hop string

// The hops, from the viewer to the pictures.
const (
	Viewer  Hop = "viewer"  // the viewer's request, token or connection
	Gateway Hop = "gateway" // this program, or the module's way to it
	Hub     Hop = "hub"     // IoT Hub
	Module  Hop = "module"  // the edge module
	Camera  Hop = "camera"  // the camera's TCP port, as the module or a direct source dials it
	RTSP    Hop = "rtsp"    // the camera's RTSP server
	Media   Hop = "media"   // what the camera sends
)

// Hops returns all hops in their order.
func Hops() []Hop { return []Hop{Viewer, Gateway, Hub, Module, Camera, RTSP, Media} }

// Failure is an error with its hop and reason. Its fields do not change after it was
// returned. No field contains a secret.
type Failure struct { //nolint:errname // it is also a state that outputs show
	Hop    Hop
	Reason reason.Code
	// Message is one sentence for people. If it is empty, the reason's text is used.
	Message string
	// Since is when the failure began; zero if it happens now.
	Since time.Time
	// RetryAt is when the gateway tries again, or when a caller may; zero if there is no
	// time to wait for.
	RetryAt time.Time
	// Err is the cause for the log; may be nil. It is not part of the JSON.
	Err error
}

var _ error = (*Failure)(nil)

// New returns a failure with the reason's text as its message. err may be nil.
func New(hop Hop, code reason.Code, err error) *Failure {
	return &Failure{Hop: hop, Reason: code, Message: code.Text(), Err: err}
}

// Of returns the failure that err wraps. An error without one is an internal error of the
// gateway; a deadline is OpeningTimeout. Of(nil) is nil.
func Of(err error) *Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(Gateway, reason.OpeningTimeout, err)
	}
	return New(Gateway, reason.Internal, err)
}

// Error returns hop, message, reason and cause.
func (f *Failure) Error() string {
	text := string(f.Hop) + ": " + f.text() + " (" + string(f.Reason) + ")"
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

func (f *Failure) text() string {
	if f.Message != "" {
		return f.Message
	}
	return f.Reason.Text()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// At returns a copy with other times.
func (f *Failure) At(since, retryAt time.Time) *Failure {
	c := *f
	c.Since, c.RetryAt = since, retryAt
	return &c
}

// body is the JSON of a failure. Times have the form of RFC 3339, in UTC.
type body struct {
	Hop     Hop         `json:"hop"`
	Reason  reason.Code `json:"reason"`
	Message string      `json:"message"`
	Since   *time.Time  `json:"since,omitempty"`
	RetryAt *time.Time  `json:"retryAt,omitempty"`
}

// MarshalJSON returns {hop, reason, message, since, retryAt}, without the cause.
func (f *Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(body{f.Hop, f.Reason, f.text(), timestamp(f.Since), timestamp(f.RetryAt)})
}

func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// Lasting reports whether waiting alone does not heal the failure: a configuration, a
// password or a limit has to change first.
func (f *Failure) Lasting() bool {
	switch f.Reason {
	case reason.PathUnknown, reason.RTSPLogin, reason.RTSPNotFound, reason.NoMedia, reason.PortNotAllowed, reason.PolicyRemote,
		reason.Disabled, reason.CodecNotForOutput, reason.CameraUnknown, reason.CameraRemoved, reason.CameraDisabled, reason.ModuleUnknown, reason.HubLogin:
		return true
	default:
		return false
	}
}

// statuses are the statuses of HTTP answers that differ from 400 at the hop viewer, and from 502
// beyond it.
var statuses = map[reason.Code]int{
	reason.AccessLogin:       http.StatusUnauthorized,
	reason.AccessExpired:     http.StatusUnauthorized,
	reason.AccessDenied:      http.StatusForbidden,
	reason.AccessOrigin:      http.StatusForbidden,
	reason.AccessHost:        http.StatusMisdirectedRequest,
	reason.AccessThrottled:   http.StatusTooManyRequests,
	reason.CameraUnknown:     http.StatusNotFound,
	reason.CameraRemoved:     http.StatusNotFound,
	reason.ViewerUnknown:     http.StatusNotFound,
	reason.ShareUnknown:      http.StatusNotFound,
	reason.NoPicture:         http.StatusNotFound,
	reason.RequestRoute:      http.StatusNotFound,
	reason.RequestMethod:     http.StatusMethodNotAllowed,
	reason.RequestSize:       http.StatusRequestEntityTooLarge,
	reason.RequestMediaType:  http.StatusUnsupportedMediaType,
	reason.RequestUpgrade:    http.StatusUpgradeRequired,
	reason.CodecNotForOutput: http.StatusConflict,
	reason.LimitViewers:      http.StatusTooManyRequests,
	reason.LimitOpenings:     http.StatusTooManyRequests,
	reason.LimitConnections:  http.StatusTooManyRequests,
	reason.LimitTunnels:      http.StatusTooManyRequests,
	reason.LimitEvents:       http.StatusTooManyRequests,
	reason.LimitShares:       http.StatusTooManyRequests,
	reason.ShuttingDown:      http.StatusServiceUnavailable,
	reason.StreamClosed:      http.StatusServiceUnavailable,
	reason.OpeningTimeout:    http.StatusGatewayTimeout,
	reason.DataFolder:        http.StatusInsufficientStorage,
	reason.Internal:          http.StatusInternalServerError,
}

// HTTPStatus returns the status of an HTTP answer: the reason's own one, or 400 for a viewer's
// fault, and 502 for every hop beyond the viewer.
func (f *Failure) HTTPStatus() int {
	if status, ok := statuses[f.Reason]; ok {
		return status
	}
	if f.Hop == Viewer {
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

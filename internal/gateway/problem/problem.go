// Package problem answers HTTP requests with a failure, as a problem document (RFC 9457).
//
// Code belongs here if it is about the form of such an answer.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// body is a problem document (RFC 9457, 3) with the members of failure.Failure.
type body struct {
	Type    string      `json:"type"`
	Title   string      `json:"title"`
	Status  int         `json:"status"`
	Detail  string      `json:"detail"`
	Hop     failure.Hop `json:"hop"`
	Reason  reason.Code `json:"reason"`
	Message string      `json:"message"`
	Since   *time.Time  `json:"since,omitempty"`
	RetryAt *time.Time  `json:"retryAt,omitempty"`
}

// Write answers with a failure. Its cause is for the log alone. A request without a valid
// login learns the scheme (RFC 6750, 3), and one that may succeed later gets Retry-After.
func Write(w http.ResponseWriter, f *failure.Failure) {
	message := f.Message
	if message == "" {
		message = f.Reason.Text()
	}
	status := f.HTTPStatus()
	b, err := json.Marshal(body{
		"about:blank", http.StatusText(status), status, message,
		f.Hop, f.Reason, message, timestamp(f.Since), timestamp(f.RetryAt),
	})
	if err != nil { // texts, numbers and times always encode
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="tunnelgateway"`)
	}
	if !f.RetryAt.IsZero() {
		seconds := int64((time.Until(f.RetryAt) + time.Second - 1) / time.Second)
		header.Set("Retry-After", strconv.FormatInt(max(1, seconds), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
}

// timestamp returns a time in UTC with milliseconds; nil for the zero time.
func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

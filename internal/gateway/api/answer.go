package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// answer writes a body as JSON, with its ETag (RFC 9110, 8.8.3). A client that has the same
// body already gets 304.
func answer(w http.ResponseWriter, r *http.Request, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		sum := sha256.Sum256(b)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
		w.Header().Set("ETag", tag)
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
	return nil
}

// matches reports whether If-None-Match has the tag (RFC 9110, 13.1.2). Our tags have no comma.
func matches(values []string, tag string) bool {
	for _, value := range values {
		for candidate := range strings.SplitSeq(value, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == tag || candidate == "*" {
				return true
			}
		}
	}
	return false
}

// problemBody is a problem document (RFC 9457, 3) with the members of failure.Failure.
type problemBody struct {
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

// problem answers with a failure. Its cause is for the log alone.
func problem(e *exchange, f *failure.Failure) {
	e.failure = f
	message := f.Message
	if message == "" {
		message = f.Reason.Text()
	}
	status := f.HTTPStatus()
	b, err := json.Marshal(problemBody{
		"about:blank", http.StatusText(status), status, message,
		f.Hop, f.Reason, message, timestamp(f.Since), timestamp(f.RetryAt),
	})
	if err != nil { // texts, numbers and times always encode
		http.Error(e, "internal error", http.StatusInternalServerError)
		return
	}
	header := e.Header()
	header.Set("Content-Type", "application/problem+json")
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="tunnelgateway"`)
	}
	if !f.RetryAt.IsZero() {
		seconds := int64((time.Until(f.RetryAt) + time.Second - 1) / time.Second)
		header.Set("Retry-After", strconv.FormatInt(max(1, seconds), 10))
	}
	e.WriteHeader(status)
	_, _ = e.Write(append(b, '\n')) // a client that left needs no answer
}

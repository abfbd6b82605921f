package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/problem"
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

// refuse answers with a failure, and keeps it for the access log.
func refuse(e *exchange, f *failure.Failure) {
	e.failure = f
	problem.Write(e, f)
}

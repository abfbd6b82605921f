package problem_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/problem"
)

func TestWrite(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	f := failure.New(failure.Module, reason.ModuleOffline, errors.New("the cause")).At(since, time.Now().Add(90*time.Second))
	w := httptest.NewRecorder()
	problem.Write(w, f)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for member, want := range map[string]any{
		"type": "about:blank", "title": "Bad Gateway", "status": 502.0, "hop": "module", "reason": "MODULE_OFFLINE",
		"detail": reason.ModuleOffline.Text(), "message": reason.ModuleOffline.Text(), "since": "2026-03-01T11:00:00.123Z",
	} {
		if got[member] != want {
			t.Errorf("%s is %v, want %v", member, got[member], want)
		}
	}
	if w.Code != http.StatusBadGateway || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Retry-After") != "90" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	if strings.Contains(w.Body.String(), "the cause") {
		t.Errorf("the cause is shown: %s", w.Body)
	}
	if w.Header().Get("WWW-Authenticate") != "" {
		t.Error("a login is asked for")
	}
}

// A message replaces the reason's text, a time in the past is a second ahead, and a request
// without a login learns the scheme.
func TestWrite_login(t *testing.T) {
	w := httptest.NewRecorder()
	f := &failure.Failure{Hop: failure.Viewer, Reason: reason.AccessLogin, Message: "a text", RetryAt: time.Now().Add(-time.Hour)}
	problem.Write(w, f)
	if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
	if body := w.Body.String(); !strings.Contains(body, `"message":"a text"`) || strings.Contains(body, "since") {
		t.Errorf("body %s", body)
	}
}

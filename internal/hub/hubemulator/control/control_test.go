package control_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator/control"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

const (
	hubFaults    = "/emulator/faults"
	moduleFaults = "/emulator/faults/devices/d1/modules/m1"
)

var module = store.ID{Device: "d1", Module: "m1"}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// env is a server with the handler, for a hub with the module d1/m1.
type env struct {
	faults *faults.Set
	store  *store.Store
	sent   telemetry.Log
	server *httptest.Server

	mu      sync.Mutex
	dropped []store.ID
}

func start(t *testing.T) *env {
	t.Helper()
	e := &env{faults: faults.New(), store: store.New()}
	if _, err := e.store.Ensure(module); err != nil {
		t.Fatal(err)
	}
	e.server = httptest.NewServer(control.New(control.Options{
		Faults: e.faults, Store: e.store, Drop: e.drop, Telemetry: &e.sent, HostNames: []string{"hub.example"}, Log: zerolog.Nop(),
	}))
	t.Cleanup(e.server.Close)
	return e
}

func (e *env) drop(id store.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped = append(e.dropped, id)
}

func (e *env) request(t *testing.T, method, path, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, e.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func (e *env) send(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := e.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, strings.TrimSpace(string(body))
}

func (e *env) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	response, text := e.send(t, e.request(t, method, path, body))
	return response.StatusCode, text
}

func (e *env) expect(t *testing.T, method, path, body string, status int, want string) {
	t.Helper()
	if got, text := e.do(t, method, path, body); got != status || text != want {
		t.Errorf("%s %s: got %d %s, want %d %s", method, path, got, text, status, want)
	}
}

func TestFaults(t *testing.T) {
	const hub, own = `{"logins":{"refuse":true}}`, `{"twin":{"hold":true}}`
	e := start(t)
	e.expect(t, "GET", hubFaults, "", 200, `{}`)
	e.expect(t, "PUT", hubFaults, ` { "logins": {"refuse": true}, "twin": null } `, 200, hub)
	e.expect(t, "PUT", moduleFaults, own, 200, own)
	e.expect(t, "GET", hubFaults, "", 200, hub)
	e.expect(t, "GET", moduleFaults, "", 200, own)
	e.expect(t, "GET", "/emulator/faults/devices/d1", "", 200, `{}`)
	e.expect(t, "GET", "/emulator/faults/devices", "", 200, `{"d1/m1":{"twin":{"hold":true}}}`)
	if !e.faults.LoginRefused("d1/m1") || !e.faults.TwinAnswersWait("d1/m1") || e.faults.TwinAnswersWait("d1") {
		t.Error("the rules in the response are not in force")
	}

	e.expect(t, "PUT", hubFaults, `{}`, 200, `{}`)
	e.expect(t, "GET", moduleFaults, "", 200, own)
	e.expect(t, "DELETE", moduleFaults, "", 204, "")
	e.expect(t, "GET", moduleFaults, "", 200, `{}`)
	e.expect(t, "PUT", moduleFaults, own, 200, own)
	e.expect(t, "PUT", hubFaults, hub, 200, hub)
	e.expect(t, "DELETE", hubFaults, "", 204, "")
	e.expect(t, "GET", hubFaults, "", 200, `{}`)
	e.expect(t, "GET", moduleFaults, "", 200, `{}`)
}

// The rules of a deleted identity can be listed, read and removed.
func TestFaults_ofDeletedIdentity(t *testing.T) {
	const own = `{"logins":{"refuse":true}}`
	e := start(t)
	e.expect(t, "PUT", moduleFaults, own, 200, own)
	if _, err := e.store.Delete(module, ""); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "GET", "/emulator/faults/devices", "", 200, `{"d1/m1":`+own+`}`)
	e.expect(t, "GET", moduleFaults, "", 200, own)
	e.expect(t, "DELETE", moduleFaults, "", 204, "")
	if status, _ := e.do(t, "DELETE", moduleFaults, ""); status != 404 {
		t.Errorf("deleted identity without rules: %d, want 404", status)
	}
}

func TestDrop(t *testing.T) {
	e := start(t)
	e.expect(t, "POST", "/emulator/drop/devices/d1/modules/m1", "", 204, "")
	e.expect(t, "POST", "/emulator/drop/devices/d1", "", 204, "")
	e.mu.Lock()
	defer e.mu.Unlock()
	if want := []store.ID{module, {Device: "d1"}}; !slices.Equal(e.dropped, want) {
		t.Errorf("dropped %v, want %v", e.dropped, want)
	}
}

func TestTelemetry(t *testing.T) {
	e := start(t)
	e.expect(t, "GET", "/emulator/telemetry", "", 200, `[]`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, m := range []telemetry.Message{
		{Identity: "d1/m1", Properties: map[string]string{"$.on": "out"}, Body: []byte(`{"a":1}`), Enqueued: at},
		{Identity: "d1", Body: []byte("\xff"), Enqueued: at},
	} {
		e.sent.Add(m)
	}
	const (
		ofModule = `{"identity":"d1/m1","properties":{"$.on":"out"},"body":"{\"a\":1}","enqueuedTime":"2026-01-02T03:04:05Z"}`
		ofDevice = `{"identity":"d1","properties":{},"body":"/w==","bodyEncoding":"base64","enqueuedTime":"2026-01-02T03:04:05Z"}`
	)
	e.expect(t, "GET", "/emulator/telemetry", "", 200, "["+ofModule+","+ofDevice+"]")
	e.expect(t, "GET", "/emulator/telemetry?identity=d1/m1", "", 200, "["+ofModule+"]")
	e.expect(t, "GET", "/emulator/telemetry?identity=d1", "", 200, "["+ofDevice+"]")
	e.expect(t, "GET", "/emulator/telemetry?identity=d2", "", 200, "[]")
	e.expect(t, "DELETE", "/emulator/telemetry", "", 204, "")
	e.expect(t, "GET", "/emulator/telemetry", "", 200, `[]`)
}

func TestRefused(t *testing.T) {
	e := start(t)
	tests := []struct {
		name, method, path, body string
		status                   int
		code, text               string
	}{
		{"unknown members", "PUT", hubFaults, `{"a":1,"b":2}`, 400, "ArgumentInvalid", `unknown member "a"; bad fault rules: unknown member "b"`},
		{"bad number", "PUT", moduleFaults, `{"twin":{"delaySeconds":-1}}`, 400, "ArgumentInvalid", "twin.delaySeconds must be 0 to 86400"},
		{"fault of the hub", "PUT", moduleFaults, `{"workload":{"down":true}}`, 400, "ArgumentInvalid", "not of one identity"},
		{"no body", "PUT", hubFaults, ``, 400, "ArgumentInvalid", "want a JSON object"},
		{"too large", "PUT", hubFaults, `{"twin":{}` + strings.Repeat(" ", 70000) + `}`, 413, "MessageTooLarge", "64 KB"},
		{"unknown device", "PUT", "/emulator/faults/devices/d2", `{}`, 404, "DeviceNotFound", "d2"},
		{"unknown module", "GET", "/emulator/faults/devices/d1/modules/m2", ``, 404, "ModuleNotFound", "d1/m2"},
		{"drop of an unknown device", "POST", "/emulator/drop/devices/d2", ``, 404, "DeviceNotFound", "d2"},
		{"drop by GET", "GET", "/emulator/drop/devices/d1", ``, 404, "NotFound", "no such resource"},
		{"unknown path", "GET", "/emulator/nothing", ``, 404, "NotFound", "no such resource"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response, text := e.send(t, e.request(t, tt.method, tt.path, tt.body))
			var document struct{ Message, ExceptionMessage string }
			if err := json.Unmarshal([]byte(text), &document); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			if got := response.Header.Get("iothub-errorcode"); response.StatusCode != tt.status || got != tt.code {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, got, tt.status, tt.code)
			}
			if !strings.HasPrefix(document.Message, "ErrorCode:"+tt.code+";") || !strings.Contains(document.Message, tt.text) {
				t.Errorf("Message %q, want %s with %q", document.Message, tt.code, tt.text)
			}
		})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.dropped) > 0 {
		t.Errorf("dropped %v", e.dropped)
	}
}

func TestBrowsersRefused(t *testing.T) {
	e := start(t)
	tests := []struct {
		name, host, origin string
		status             int
	}{
		{"loopback", "", "", 200},
		{"name of the hub", "hub.example:8443", "", 200},
		{"name of the hub in upper case", "HUB.example", "", 200},
		{"localhost", "localhost:1", "", 200},
		{"IPv6", "[::1]:1", "", 200},
		{"IPv6 without port", "[::1]", "", 200},
		{"page of another site", "", "https://evil.example", 403},
		{"sandboxed page", "", "null", 403},
		{"page of the hub itself", "hub.example", "https://hub.example", 403},
		{"name that resolves to loopback", "evil.example:8443", "", 403},
		{"name that begins with localhost", "localhost.evil.example", "", 403},
		{"another machine", "192.0.2.1:8443", "", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"GET", "PUT"} {
				request := e.request(t, method, hubFaults, `{"logins":{}}`)
				request.Host = tt.host
				if tt.origin != "" {
					request.Header.Set("Origin", tt.origin)
				}
				if response, text := e.send(t, request); response.StatusCode != tt.status {
					t.Errorf("%s: got %d %s, want %d", method, response.StatusCode, text, tt.status)
				}
			}
			if got := e.faults.Hub().Logins; (got != nil) != (tt.status == 200) {
				t.Errorf("status %d, but rules %v", tt.status, got)
			}
			e.faults.Clear()
		})
	}
}

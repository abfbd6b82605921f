package module_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

// patch writes desired properties, and returns their version.
func (s *site) patch(t *testing.T, desired any) int64 {
	t.Helper()
	text, err := json.Marshal(desired)
	if err != nil {
		t.Fatal(err)
	}
	tw, err := s.Client.PatchDesired(t.Context(), s.ID, text)
	if err != nil {
		t.Fatal(err)
	}
	var version struct {
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(tw.Properties.Desired, &version); err != nil {
		t.Fatal(err)
	}
	return version.Version
}

// apply writes desired properties, and waits until they are in force.
func (s *site) apply(t *testing.T, desired any) {
	t.Helper()
	s.log.Await(t, fmt.Sprintf("version=%d\n", s.patch(t, desired)), 1)
}

// report has the reported properties that the tests read.
type report struct {
	Version int64 `json:"$version"`
	state
	Hub    struct{ Protocol string }
	Config struct {
		Applied, Rejected   int64
		UnknownKeys, NotYet []string
		Errors              []struct{ Path, Code string }
	}
	EffectiveProxy *struct {
		Origin, Host string
		Auth         bool
	}
	Policy       string
	CameraStatus map[string]struct {
		LocalPort  int
		State      string
		Since      time.Time
		Open       int
		LastReason string
	}
	Totals  struct{ Opened, Failed, BytesUp, BytesDown int64 }
	Cameras ack
	Tunnels struct {
		Value map[string]any
		AC    int
		AV    int64
	}
	Log struct {
		Value struct{ Level string }
		AC    int
	}
	Proxy struct {
		Value map[string]any
		AC    int
		AD    string
	}
	RemoteEndpoints struct{ AC int }
}

// reported waits until want accepts the reported properties.
func (s *site) reported(t *testing.T, want func(report) bool) (r report, text string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < 3*patience; <-tick.C {
		if r, text = s.report(t); want(r) {
			return r, text
		}
	}
	t.Fatalf("reported: %s\nthe log:\n%s", text, s.log)
	return r, text
}

// report returns the reported properties.
func (s *site) report(t *testing.T) (r report, text string) {
	t.Helper()
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(tw.Properties.Reported, &r); err != nil {
		t.Fatalf("%v in %s", err, tw.Properties.Reported)
	}
	return r, string(tw.Properties.Reported)
}

// state is the module's state in a report.
type state struct {
	State   string
	Reasons []string
}

// state returns the reported state.
func (s *site) state(t *testing.T) state {
	t.Helper()
	r, _ := s.report(t)
	return r.state
}

func applied(version int64) func(report) bool {
	return func(r report) bool { return r.Config.Applied >= version }
}

// open opens a tunnel, and returns its far end.
func (s *site) open(t *testing.T, r *remote, localPort int) tunnel {
	t.Helper()
	if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", localPort)); status != 200 {
		t.Fatalf("port %d: response %d %v; the log:\n%s", localPort, status, body, s.log)
	}
	far := <-r.tunnels
	t.Cleanup(func() { far.Close() })
	return far
}

// refused expects this response to tunnelOpen.
func (s *site) refused(t *testing.T, endpoint string, localPort, status int, target, message string) {
	t.Helper()
	got, body := s.invoke(t, "tunnelOpen", payload(endpoint, "tok", localPort))
	want := map[string]any{"code": fmt.Sprint(status), "target": target, "message": message}
	if d := cmp.Diff(want, body); d != "" || got != status {
		t.Errorf("port %d: response %d, %s", localPort, got, d)
	}
}

// isOpen fails the test unless a tunnel to an echoing camera carries bytes.
func (far tunnel) isOpen(t *testing.T) {
	t.Helper()
	_ = far.SetReadDeadline(time.Now().Add(patience))
	if err := far.WriteMessage(websocket.BinaryMessage, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := far.ReadMessage(); string(data) != "still here" {
		t.Fatalf("the tunnel says %q, %v", data, err)
	}
}

// isForbidden waits for the Close 1008 of a tunnel that a new twin forbids.
func (far tunnel) isForbidden(t *testing.T, why reason.Code) {
	t.Helper()
	_ = far.SetReadDeadline(time.Now().Add(patience))
	if _, data, err := far.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Fatalf("%s: the far end read %q, %v, want Close 1008", why, data, err)
	}
}

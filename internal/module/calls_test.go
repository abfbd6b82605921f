package module_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"rtsptunnel/internal/hub/hubclient"
)

// While 256 calls wait for their cameras, another call is refused at once, and a tunnel that
// is open carries bytes.
func TestTunnelOpen_tooManyCalls(t *testing.T) {
	const maxCalls = 256
	s, r := newSite(t), newRemote(t)
	s.trust(t, r.ca.CertPEM())
	slow := silent(t, 1554)
	slow.MaxTunnels = 2 * maxCalls
	s.run(t)
	s.apply(t, map[string]any{
		"cameras": map[string]camera{"front": at(echo(t), 554), "silent": slow},
		"tunnels": map[string]any{"max": 2 * maxCalls, "cameraTimeoutSeconds": 15, "remoteTimeoutSeconds": 10, "openTimeoutSeconds": 25},
	})
	far := s.open(t, r, 554)

	calling, hangUp := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	defer calls.Wait()
	defer hangUp()
	before := strings.Count(s.log.String(), received)
	for range maxCalls {
		calls.Go(func() {
			_, _, _ = s.Client.Invoke(calling, s.ID, hubclient.Method{Name: "tunnelOpen", Payload: []byte(payload(r.endpoint(), "tok", 1554))})
		})
	}
	s.log.Await(t, received, before+maxCalls)
	status, body := s.Invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554))
	if want := `{"code":"429","target":"tunnelOpen","message":"Too many calls"}`; status != 429 || body != want {
		t.Errorf("%d %s, want 429 %s", status, body, want)
	}
	s.log.Await(t, "reason=LIMIT_CALLS", 1)
	far.isOpen(t)
}

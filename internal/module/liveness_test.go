package module_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module"
)

// A tunnel has the ping interval of the twin at its opening: the tunnel that opens second
// is pinged first.
func TestPing_isTheTwins(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	pinged := make(chan string, 8)
	listenFor := func(name string, far tunnel) {
		_ = far.SetReadDeadline(time.Now().Add(patience))
		far.SetPingHandler(func(string) error { pinged <- name; return nil })
		go func() { _, _, _ = far.ReadMessage() }() // ends with the tunnel
	}
	listenFor("default", s.open(t, r, 554))
	s.apply(t, map[string]any{"tunnels": map[string]any{"pingSeconds": 5}})
	listenFor("twin", s.open(t, r, 554))
	if name := receive(t, pinged, "a ping"); name != "twin" {
		t.Errorf("the tunnel of the %s was pinged first", name)
	}
}

// A stall timeout of 0 in the twin disables it.
func TestLiveness(t *testing.T) {
	for _, c := range []struct{ stall, want time.Duration }{{0, -1}, {time.Minute, time.Minute}} {
		if got := module.Liveness(7*time.Second, c.stall); got.Ping != 7*time.Second || got.Stall != c.want {
			t.Errorf("of a stall of %s: %+v", c.stall, got)
		}
	}
}

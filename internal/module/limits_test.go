package module_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

// echoed sends n bytes through each tunnel to an echoing camera, and returns the time until
// all came back.
func echoed(t *testing.T, n int, tunnels ...tunnel) time.Duration {
	t.Helper()
	begin := time.Now()
	for _, far := range tunnels {
		if err := far.WriteMessage(websocket.BinaryMessage, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, far := range tunnels {
		_ = far.SetReadDeadline(begin.Add(patience))
		for got := 0; got < n; {
			_, data, err := far.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			got += len(data)
		}
	}
	return time.Since(begin)
}

// Changes of a camera's bit rate and of the total bit rate in the twin hold for open
// tunnels.
func TestRates_areTheTwins(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 1), "yard": at(cam, 2)}})
	front, yard := s.open(t, r, 1), s.open(t, r, 2)
	const piece = 20_000 // in both directions, at 80 kbit/s: 4 s
	within := func(what string, took, least, most time.Duration) {
		t.Helper()
		if took < least || took > most {
			t.Errorf("%s: %s, want %s to %s", what, took, least, most)
		}
	}
	s.apply(t, map[string]any{"cameras": map[string]any{"front": map[string]any{"maxBitsPerSecond": 80_000}}})
	within("front", echoed(t, piece, front), 3*time.Second, 20*time.Second)
	within("yard at the same time", echoed(t, piece, yard), 0, 2*time.Second)

	s.apply(t, map[string]any{
		"cameras": map[string]any{"front": map[string]any{"maxBitsPerSecond": nil}},
		"tunnels": map[string]any{"maxBitsPerSecond": "80000"},
	})
	within("both", echoed(t, piece/2, front, yard), 3*time.Second, 20*time.Second)
	s.apply(t, map[string]any{"tunnels": nil})
	within("both without limits", echoed(t, piece, front, yard), 0, 2*time.Second)
}

// Changes of the idle timeout and of the maximum age hold for open tunnels too.
func TestExpire_isTheTwins(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	silent, speaks := s.open(t, r, 554), s.open(t, r, 554)
	s.apply(t, map[string]any{"tunnels": map[string]any{"idleTimeoutSeconds": 3}})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for !strings.Contains(s.log.String(), "reason=LIMIT_IDLE") && time.Since(begin) < patience {
		speaks.isOpen(t)
		<-tick.C
	}
	silent.isForbidden(t, reason.LimitIdle)
	speaks.isOpen(t)
	s.apply(t, map[string]any{"tunnels": map[string]any{"idleTimeoutSeconds": nil, "maxAgeSeconds": 1}})
	speaks.isForbidden(t, reason.LimitAge)
	s.log.Await(t, "reason=LIMIT_AGE", 1)
}

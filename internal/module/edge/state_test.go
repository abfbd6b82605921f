package edge_test

import (
	"net"
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// awaitState waits until the state is as wanted.
func awaitState(tb testing.TB, s *site, c *edge.Client, what string, ok func(edge.State) bool) edge.State {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		now := c.State()
		if ok(now) {
			return now
		}
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("never %s: %+v\n%s", what, now, s.log)
		}
	}
}

// The state tells what is, without being asked for: nothing before Run, a wait, a
// connection, its loss, and the next one.
func TestState_followsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hub := s.o.Address
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.o.Address = ln.Addr().String()
	ln.Close()
	c := s.client(t)
	if got := c.State(); got != (edge.State{}) {
		t.Errorf("before Run: %+v", got)
	}
	stop := s.keep(t, c)
	got := awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	if got.Connected || got.Attempts == 0 || got.LastTurn.IsZero() || !got.LastProgress.IsZero() || got.Reconnects != 0 {
		t.Errorf("while nobody listens: %+v", got)
	}
	stop()

	s.o.Address = hub
	c = s.client(t)
	stop = s.keep(t, c)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	got = awaitState(t, s, c, "subscribed", func(s edge.State) bool { return s.Subscribed })
	if life := time.Until(got.TokenExpires); !got.Connected || got.Reconnects != 0 || got.LastProgress.Before(begin) ||
		!got.NextAttempt.IsZero() || life < 50*time.Minute || life > time.Hour+time.Second {
		t.Errorf("connected: %+v", got)
	}
	s.Drop(s.ID.Device, s.ID.Module)
	awaitState(t, s, c, "connected again", func(s edge.State) bool { return s.Subscribed && s.Reconnects == 1 && s.Attempts == 2 })
	stop()
	if got := c.State(); got.Connected || got.Subscribed || !got.TokenExpires.IsZero() {
		t.Errorf("after Run: %+v", got)
	}
}

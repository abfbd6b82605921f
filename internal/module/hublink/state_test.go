package hublink_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/porttest"
)

// The state follows the connection: nothing before Run, then a wait, a connection, its loss
// and the next one.
func TestState_followsTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hub := s.o.Address
	s.o.Address = porttest.Reserve(t)
	c := s.link(t)
	if got := c.State(); got != (hublink.State{}) {
		t.Errorf("before Run: %+v", got)
	}
	stop := s.keep(t, c)
	got := awaitState(t, s, c, "waiting", func(s hublink.State) bool { return !s.NextAttempt.IsZero() })
	if got.Connected || got.Attempts == 0 || got.LastTurn.IsZero() || !got.LastProgress.IsZero() || got.Reconnects != 0 {
		t.Errorf("while there is no listener: %+v", got)
	}
	stop()

	s.o.Address = hub
	c = s.link(t)
	stop = s.keep(t, c)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	got = awaitState(t, s, c, "subscribed", func(s hublink.State) bool { return s.Subscribed })
	if life := time.Until(got.TokenExpires); !got.Connected || got.Reconnects != 0 || got.LastProgress.Before(begin) ||
		!got.NextAttempt.IsZero() || life < 50*time.Minute || life > time.Hour+time.Second {
		t.Errorf("connected: %+v", got)
	}
	s.Drop(s.ID.Device, s.ID.Module)
	awaitState(t, s, c, "connected again", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 && s.Attempts == 2 })
	stop()
	if got := c.State(); got.Connected || got.Subscribed || !got.TokenExpires.IsZero() {
		t.Errorf("after Run: %+v", got)
	}
}

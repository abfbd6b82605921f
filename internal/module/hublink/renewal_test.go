package hublink_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module/hublink"
)

// A token is replaced before it expires, by a connection that is prepared before the old one
// is closed. Every call of a caller that never pauses is answered, and the hub never closes
// the connection.
func TestRenew_losesNoCall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Conn.TokenLifetime = 5 * time.Second
	// Replaced after 0.5 to 1 s, which leaves a busy machine time before the token expires.
	c := s.start(t, func(ts *hublink.Times) { ts.FirstWait, ts.Renew = 50*time.Millisecond, 0.1 })
	s.Invoke(t, "x", `{}`)
	end := make(chan struct{})
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				begin := time.Now()
				status, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{
					Name: "x", ConnectTimeout: 10 * time.Second, ResponseTimeout: 10 * time.Second,
				})
				if took := time.Since(begin); err != nil || status != 299 || took > 5*time.Second {
					t.Errorf("after %s: %d, %v", took, status, err)
				}
			}
		})
	}
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects >= 3 })
	close(end)
	callers.Wait()
	if log := s.log.String(); strings.Contains(log, failed) {
		t.Errorf("the connection was lost:\n%s", log)
	}
}

// A call that runs when the token is to be replaced gets its answer first.
func TestRenew_waitsForCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Conn.TokenLifetime = 10 * time.Second
	h := &slow{echo: s.module, called: make(chan context.Context, 1), release: make(chan struct{})}
	s.o.Handler = h
	c := s.start(t, func(ts *hublink.Times) { ts.Renew, ts.Turn = 0.05, 50*time.Millisecond }) // after 0.5 to 1.5 s, and then waits for 4 s at least
	awaitState(t, s, c, "subscribed", ready)
	var call sync.WaitGroup
	call.Go(func() {
		if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
			t.Errorf("status %d", status)
		}
	})
	<-h.called
	awaitTurns(t, s, c, 2500*time.Millisecond)
	if got := c.State(); got.Reconnects != 0 || !got.Connected {
		t.Errorf("the connection was replaced during a call: %+v", got)
	}
	close(h.release)
	call.Wait()
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 })
	if log := s.log.String(); strings.Contains(log, failed) {
		t.Errorf("too late:\n%s", log)
	}
}

// If the preparation fails the old connection stays until its token expires.
func TestRenew_failureLeavesTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Conn.TokenLifetime = 10 * time.Second
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Renew = 0.1 })
	awaitState(t, s, c, "subscribed", ready)
	if err := s.Faults().Put(faults.Rules{Workload: &faults.Workload{Status: 500}}); err != nil {
		t.Fatal(err)
	}
	s.log.Await(t, `"reason":"HUB_WORKLOAD"`, 2)
	if got := c.State(); !got.Subscribed || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	s.Faults().Clear()
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 })
}

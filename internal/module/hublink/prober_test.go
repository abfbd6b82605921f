package hublink_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/nettest"
)

// bar is five times the time from a hub's return until a method is answered.
const bar = 5 * 5 * time.Second

// A hub that could not be reached for a long time is used seconds after it listens.
func TestRun_hubComesUpLate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Conn.Identity.Auth = s.key(t)
	s.Stop(t)
	c := s.start(t, patient)
	awaitState(t, s, c, "waiting", waiting)
	s.StartAgain(t)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	if took := time.Since(begin); took > bar {
		t.Errorf("the first answer took %s", took)
	}
	if got := c.State(); got.Attempts != 2 {
		t.Errorf("%d attempts, want the first and the one when the hub was there", got.Attempts)
	}
}

// The same for the workload API, without which there are no credentials.
func TestRun_workloadComesUpLate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Stop(t)
	c := s.start(t, patient)
	s.log.Await(t, "HUB_WORKLOAD", 1)
	s.StartAgain(t)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	if took := time.Since(begin); took > bar {
		t.Errorf("the first answer took %s", took)
	}
	if got := c.State(); got.Attempts > 3 { // one may have come between the two listeners
		t.Errorf("%d attempts", got.Attempts)
	}
}

// A server that accepts connections and then closes them is not probed, so it gets only the
// attempts of the backoff.
func TestRun_noHotLoop(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var came atomic.Int32
	s.o.Address = nettest.Listen(t, func(net.Conn) { came.Add(1) })
	c := s.start(t, func(ts *hublink.Times) { patient(ts); ts.Probe = time.Millisecond })
	awaitState(t, s, c, "waiting", waiting)
	awaitTurns(t, s, c, 300*time.Millisecond)
	got := c.State()
	if n := came.Load(); n != 1 || got.Attempts != 1 {
		t.Errorf("%d connections, %d attempts", n, got.Attempts)
	}
}

// A hub that listens does not cause attempts while the workload API is missing.
func TestRun_noHotLoopWithoutWorkload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Conn.Identity.Auth = hubconn.Workload{URI: "unix:///nonexistent", GenerationID: s.Generation}
	c := s.start(t, func(ts *hublink.Times) { patient(ts); ts.Probe, ts.ProbeJitter = time.Millisecond, 1 })
	awaitState(t, s, c, "waiting", waiting)
	awaitTurns(t, s, c, 300*time.Millisecond)
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}

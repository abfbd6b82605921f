package edge_test

import (
	"crypto/x509"
	"encoding/base64"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// bar is five times what a hub's return may take until a method is answered.
const bar = 5 * 5 * time.Second

// A hub that nobody could reach for ever so long is used seconds after it listens.
func TestRun_hubComesUpLate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identity.Login = s.key(t)
	s.Stop(t)
	c := s.start(t, patient)
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
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

// The same for the workload API, without which there is no login.
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

// key is a login that needs no workload API.
func (s *site) key(t *testing.T) edge.Key {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	roots := s.CA().Pool()
	key, err := base64.StdEncoding.DecodeString(r.Authentication.SymmetricKey.Primary)
	if err != nil {
		t.Fatal(err)
	}
	return edge.Key{
		Key:   func() ([]byte, error) { return key, nil },
		Roots: func() (*x509.CertPool, error) { return roots, nil },
	}
}

// A server that lets everybody in and then hangs up is not looked at, and so gets no
// more attempts than the backoff gives.
func TestRun_noHotLoop(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var came atomic.Int32
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	})
	defer all.Wait()
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	c := s.start(t, func(ts *edge.Times) { patient(ts); ts.Look = time.Millisecond })
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	<-time.After(300 * time.Millisecond) // of looks, if there were any
	got := c.State()
	if n := came.Load(); n != 1 || got.Attempts != 1 {
		t.Errorf("%d connections, %d attempts", n, got.Attempts)
	}
}

// Nor does a hub that listens invite attempts while the workload API is missing.
func TestRun_noHotLoopWithoutWorkload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identity.Login = edge.Workload{URI: "unix:///nonexistent", GenerationID: s.Generation}
	c := s.start(t, func(ts *edge.Times) { patient(ts); ts.Look, ts.LookRest = time.Millisecond, 1 })
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	<-time.After(300 * time.Millisecond) // of looks
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}

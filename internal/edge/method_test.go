package edge_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/hubclient"
)

// The hub goes and comes six times while methods are called: each gets the module's
// answer, the service's own 404 or 504, or nobody to ask.
func TestMethod_noneIsLostOutsideAnOutage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.start(t, func(ts *edge.Times) { ts.Look = 50 * time.Millisecond })
	var outages atomic.Int32 // begun and ended
	end := make(chan struct{})
	var answered atomic.Int32
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				before := outages.Load()
				status, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{Name: "x", ResponseTimeout: 5 * time.Second})
				off := before%2 == 1 || outages.Load() != before
				e, refused := errors.AsType[*hubclient.Error](err)
				switch {
				case err == nil && status == 299:
					answered.Add(1)
				case refused && (e.Status == 404 || e.Status == 504): // the service's own
				case err != nil && off: // nobody to ask
				default:
					t.Errorf("call %d: %d, %v", n, status, err)
				}
			}
		})
	}
	for range 6 {
		awaitState(t, s, c, "subscribed", ready)
		before := answered.Load()
		await(t, "calls answered", func() bool { return answered.Load() > before+20 })
		outages.Add(1)
		s.Stop(t)
		s.StartAgain(t)
		s.Client.Close() // its idle connections are of before
		outages.Add(1)
	}
	awaitState(t, s, c, "subscribed", ready)
	close(end)
	callers.Wait()
	s.Invoke(t, "x", `{}`)
}

// Request ids are opaque: each comes back as it was sent. IoT Hub's are hexadecimal
// numbers, the edge hub's are GUIDs.
func TestMethod_requestIDs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	want := map[string]bool{}
	for n := range 150 {
		for _, rid := range []string{strconv.FormatInt(int64(n), 16), fmt.Sprintf("%08x-7E57-4abc-9DEF-%012X", n, n*7919)} {
			want["$iothub/methods/res/299/?$rid="+rid] = true
			h.publish("$iothub/methods/POST/m/?$rid="+rid, `{}`)
		}
	}
	for range 300 {
		select {
		case topic := <-h.answers:
			if !want[topic] {
				t.Errorf("answered to %s", topic)
			}
			delete(want, topic)
		case <-time.After(patience):
			t.Fatalf("%d calls have no answer:\n%s", len(want), s.log)
		}
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

package edge_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module/edge"
)

// The hub goes and comes six times while methods are called: each gets the module's
// answer. While the hub or the module is away it may also be the service's own word, or
// there is nobody to ask.
func TestMethod_noneIsLostOutsideAnOutage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.start(t, func(ts *edge.Times) { ts.Look = 50 * time.Millisecond })
	awaitState(t, s, c, "subscribed", ready)
	var outages atomic.Int32 // begun, and ended by the module's return
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
				switch {
				case err == nil && status == 299:
					answered.Add(1)
				case off && err != nil: // the service's own 404 or the like, or nobody to ask
				default:
					t.Errorf("call %d: %d, %v", n, status, err)
				}
			}
		})
	}
	for n := range 6 {
		before := answered.Load()
		await(t, "calls answered", func() bool { return answered.Load() > before+20 })
		outages.Add(1)
		s.Stop(t)
		s.StartAgain(t)
		s.Client.Close() // its idle connections are of before
		awaitState(t, s, c, "subscribed again", func(s edge.State) bool { return s.Subscribed && s.Reconnects > n })
		outages.Add(1)
	}
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
		case got := <-h.answers:
			if !want[got.topic] {
				t.Errorf("answered to %s", got.topic)
			}
			delete(want, got.topic)
		case <-time.After(patience):
			t.Fatalf("%d calls have no answer:\n%s", len(want), s.log)
		}
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

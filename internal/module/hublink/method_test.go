package hublink_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module/hublink"
)

// The hub is restarted six times while methods are called. Each call gets the module's
// answer; during an outage it may also get the service's own, or fail to connect.
func TestMethod_noneIsLostOutsideAnOutage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.start(t, func(ts *hublink.Times) { ts.Probe = 50 * time.Millisecond })
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
				case off && err != nil: // the service's own 404 or similar, or no connection
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
		s.Client.Close() // drops idle connections to the old hub
		awaitState(t, s, c, "subscribed again", func(s hublink.State) bool { return s.Subscribed && s.Reconnects > n })
		outages.Add(1)
	}
	close(end)
	callers.Wait()
	s.Invoke(t, "x", `{}`)
}

// Request ids are opaque: each comes back unchanged. IoT Hub's are hexadecimal
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
		got, ok := receive(t, h.answers)
		if !ok {
			t.Fatalf("%d calls have no answer:\n%s", len(want), s.log)
		}
		if !want[got.topic] {
			t.Errorf("answered to %s", got.topic)
		}
		delete(want, got.topic)
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// counter is a module that numbers its calls and answers each with its number after hold is
// closed. It answers a ping at once.
type counter struct {
	*echo
	calls atomic.Int32
	hold  chan struct{}
	began chan struct{}
}

func (c *counter) Method(_ context.Context, name string, _ []byte) func() (int, []byte) {
	return func() (int, []byte) {
		if name == "ping" {
			return 200, []byte("pong")
		}
		n := c.calls.Add(1)
		c.began <- struct{}{}
		<-c.hold
		return 200, []byte(strconv.Itoa(int(n)))
	}
}

// A call that is delivered seven times while it runs has one answer, since all have the same
// request id. Each delivery after that gets the same answer without another run. On
// another connection, where request ids start again, it is another call.
func TestMethod_deliveredTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := &counter{echo: s.module, hold: make(chan struct{}), began: make(chan struct{}, 64)}
	s.o.Handler = module
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)

	deliver := func(times int) {
		for range times {
			h.publish("$iothub/methods/POST/open/?$rid=7E57-a", `{"port":1}`)
		}
	}
	expect := func(times int, rid, body string) {
		t.Helper()
		for range times {
			got, ok := receive(t, h.answers)
			if !ok {
				t.Fatalf("%d calls of the module\n%s", module.calls.Load(), s.log)
			}
			if want := (methodAnswer{"$iothub/methods/res/200/?$rid=" + rid, body}); got != want {
				t.Errorf("answered %v, want %v", got, want)
			}
		}
	}
	deliver(1)
	<-module.began
	deliver(6)
	h.publish("$iothub/methods/POST/ping/?$rid=1", "") // its answer shows that those have arrived
	expect(1, "1", "pong")
	close(module.hold)
	expect(1, "7E57-a", "1")
	h.publish("$iothub/methods/POST/ping/?$rid=2", "") // its answer shows that no other came before it
	expect(1, "2", "pong")
	deliver(3)
	expect(3, "7E57-a", "1")
	if n := module.calls.Load(); n != 1 {
		t.Fatalf("%d calls of the module", n)
	}

	for n, other := range []struct{ name, rid, payload string }{
		{"open", "7E57-a", `{"port":2}`}, {"open", "7E57-b", `{"port":1}`}, {"close", "7E57-a", `{"port":1}`}, {"open", "7e57-a", `{"port":1}`},
	} {
		h.publish("$iothub/methods/POST/"+other.name+"/?$rid="+other.rid, other.payload)
		expect(1, other.rid, strconv.Itoa(n+2))
	}

	h.cut()
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 })
	for range 2 {
		deliver(1)
		expect(1, "7E57-a", "6")
	}
}

// A call that is delivered after the answer was dropped is a new call.
func TestMethod_deliveredMuchLater(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := &counter{echo: s.module, hold: make(chan struct{}), began: make(chan struct{}, 64)}
	close(module.hold)
	s.o.Handler = module
	h := newFakeHub(t, s, twinDoc(1, ""))
	s.o.Conn.RepeatWindow = 1
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	for n := range 3 {
		h.publish("$iothub/methods/POST/open/?$rid=1", "{}")
		if got := (<-h.answers).payload; got != strconv.Itoa(n+1) {
			t.Errorf("delivery %d got the answer of call %s", n+1, got)
		}
	}
}

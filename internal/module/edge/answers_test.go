package edge_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// counter is a module whose answers tell which call they are of, once it lets go. It
// always answers a ping.
type counter struct {
	*echo
	calls atomic.Int32
	hold  chan struct{} // closed when it lets go
	began chan struct{}
}

func (c *counter) Method(_ context.Context, name string, _ []byte) (int, []byte) {
	if name == "ping" {
		return 200, []byte("pong")
	}
	n := c.calls.Add(1)
	c.began <- struct{}{}
	<-c.hold
	return 200, []byte(strconv.Itoa(int(n)))
}

// A call that is delivered ten times, while it runs and after, is one call with ten
// equal answers. On another connection, where request ids begin anew, it is another.
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
			select {
			case got := <-h.answers:
				if want := (methodAnswer{"$iothub/methods/res/200/?$rid=" + rid, body}); got != want {
					t.Errorf("answered %v, want %v", got, want)
				}
			case <-time.After(patience):
				t.Fatalf("%d calls of the module\n%s", module.calls.Load(), s.log)
			}
		}
	}
	deliver(1)
	<-module.began
	deliver(6)
	h.publish("$iothub/methods/POST/ping/?$rid=1", "") // is answered when those have arrived, and they wait
	expect(1, "1", "pong")
	close(module.hold)
	expect(7, "7E57-a", "1")
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
	awaitState(t, s, c, "connected anew", func(s edge.State) bool { return s.Subscribed && s.Reconnects == 1 })
	deliver(2)
	expect(2, "7E57-a", "6")
}

// What was answered long enough ago is a new call, over the wire too.
func TestMethod_deliveredMuchLater(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := &counter{echo: s.module, hold: make(chan struct{}), began: make(chan struct{}, 64)}
	close(module.hold)
	s.o.Handler = module
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, func(ts *edge.Times) { ts.Repeat = time.Millisecond })
	awaitState(t, s, c, "subscribed", ready)
	for n := range 3 {
		h.publish("$iothub/methods/POST/open/?$rid=1", "{}")
		if got := (<-h.answers).payload; got != strconv.Itoa(n+1) {
			t.Errorf("delivery %d got the answer of call %s", n+1, got)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// An answer is kept for a minute, and only so many and so much of them: the oldest go
// first.
func TestAnswers_bounds(t *testing.T) {
	a := edge.NewAnswers()
	begin := time.Now()
	calls := 0
	deliver := func(rid string, after time.Duration, size int) (again bool) {
		before := calls
		body := edge.Deliver(a, rid, "{}", begin.Add(after), func() (int, []byte) {
			calls++
			return 200, []byte(strings.Repeat("x", size))
		})
		if len(body) != size {
			t.Errorf("%s: %d bytes, want %d", rid, len(body), size)
		}
		return calls == before
	}
	expect := func(rid string, after time.Duration, size int, again bool) {
		t.Helper()
		if got := deliver(rid, after, size); got != again {
			t.Errorf("%s after %s taken for a call delivered again: %v", rid, after, got)
		}
	}
	expect("a", 0, 1, false)
	expect("b", time.Second, 1, false)
	expect("a", time.Minute-1, 1, true) // which makes it no younger
	expect("a", time.Minute, 1, false)
	expect("b", time.Minute, 1, true)

	for n := range 1024 {
		expect(fmt.Sprint("many ", n), 2*time.Minute, 1, false)
	}
	expect("many 0", 2*time.Minute, 1, true)
	expect("one more", 2*time.Minute, 1, false)
	expect("many 1", 2*time.Minute, 1, true)
	expect("many 0", 2*time.Minute, 1, false)

	expect("large 1", 4*time.Minute, 128<<10, false)
	expect("large 2", 4*time.Minute, 128<<10, false)
	expect("large 1", 4*time.Minute, 128<<10, true)
	expect("small", 4*time.Minute, 1, false)
	expect("large 2", 4*time.Minute, 128<<10, true)
	expect("large 1", 4*time.Minute, 128<<10, false)
	expect("too large", 4*time.Minute, 1<<20, false)
	expect("too large", 4*time.Minute, 1<<20, false)
	expect("small", 4*time.Minute, 1, false)
	expect("small", 4*time.Minute, 1, true)
}

// A call that is forgotten while it runs still answers whoever waits for it.
func TestAnswers_forgottenWhileItRuns(t *testing.T) {
	a := edge.NewAnswers()
	now := time.Now()
	slow := strings.Repeat("slow", 100_000) // more than is kept
	began, hold, ended := make(chan struct{}), make(chan struct{}), make(chan string, 2)
	go func() {
		ended <- string(edge.Deliver(a, "slow", "", now, func() (int, []byte) {
			close(began)
			<-hold
			return 200, []byte(slow)
		}))
	}()
	<-began
	for n := range 2000 {
		edge.Deliver(a, strconv.Itoa(n), "", now, func() (int, []byte) { return 200, nil })
	}
	if got := string(edge.Deliver(a, "slow", "", now, func() (int, []byte) { return 200, []byte("again") })); got != "again" {
		t.Errorf("answer %q", got)
	}
	close(hold)
	if got := <-ended; got != slow {
		t.Errorf("answer %.20q", got)
	}
	if got := string(edge.Deliver(a, "slow", "", now, func() (int, []byte) { return 200, []byte("third") })); got != "again" {
		t.Errorf("answer %q", got)
	}
}

package hubconn_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
)

// An answer is kept for a minute. The number of answers and their bytes are limited; the
// oldest are dropped first.
func TestAnswers_bounds(t *testing.T) {
	a := hubconn.NewAnswers(time.Minute)
	begin := time.Now()
	calls := 0
	deliver := func(rid string, after time.Duration, size int) (again bool) {
		before := calls
		body := hubconn.Deliver(a, rid, "{}", begin.Add(after), func() (int, []byte) {
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
	expect("a", time.Minute-1, 1, true) // which does not extend the time
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

// A call that is dropped while it runs still answers the deliveries that wait for it.
func TestAnswers_droppedWhileItRuns(t *testing.T) {
	a := hubconn.NewAnswers(time.Minute)
	now := time.Now()
	slow := strings.Repeat("slow", 100_000) // more than is kept
	began, hold, ended := make(chan struct{}), make(chan struct{}), make(chan string, 2)
	go func() {
		ended <- string(hubconn.Deliver(a, "slow", "", now, func() (int, []byte) {
			close(began)
			<-hold
			return 200, []byte(slow)
		}))
	}()
	<-began
	for n := range 2000 {
		hubconn.Deliver(a, strconv.Itoa(n), "", now, func() (int, []byte) { return 200, nil })
	}
	if got := string(hubconn.Deliver(a, "slow", "", now, func() (int, []byte) { return 200, []byte("again") })); got != "again" {
		t.Errorf("answer %q", got)
	}
	close(hold)
	if got := <-ended; got != slow {
		t.Errorf("answer %.20q", got)
	}
	if got := string(hubconn.Deliver(a, "slow", "", now, func() (int, []byte) { return 200, []byte("third") })); got != "again" {
		t.Errorf("answer %q", got)
	}
}

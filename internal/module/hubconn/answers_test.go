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
	deliver := func(rid string, after time.Duration, size int) (again bool) {
		call, body, given := hubconn.Deliver(a, rid, "{}", begin.Add(after))
		if call != nil {
			call.End(strings.Repeat("x", size))
			return false
		}
		if !given || len(body) != size {
			t.Errorf("%s: given %v, %d bytes, want %d", rid, given, len(body), size)
		}
		return true
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

// A call whose answer is dropped while it runs is another call when it is delivered again.
func TestAnswers_droppedWhileItRuns(t *testing.T) {
	a := hubconn.NewAnswers(time.Minute)
	now := time.Now()
	deliver := func(rid string) *hubconn.Call {
		t.Helper()
		call, body, given := hubconn.Deliver(a, rid, "", now)
		if call == nil {
			t.Fatalf("%s was delivered before: given %v, %.20q", rid, given, body)
		}
		return call
	}
	slow := deliver("slow")
	if call, _, given := hubconn.Deliver(a, "slow", "", now); call != nil || given {
		t.Errorf("a call that runs: begun %v, given %v", call != nil, given)
	}
	for n := range 2000 {
		deliver(strconv.Itoa(n)).End("")
	}
	deliver("slow").End("again")
	slow.End(strings.Repeat("slow", 100_000)) // more than is kept
	if call, body, given := hubconn.Deliver(a, "slow", "", now); call != nil || !given || string(body) != "again" {
		t.Errorf("begun %v, given %v, %.20q", call != nil, given, body)
	}
}

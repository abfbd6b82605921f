package access

import (
	"strconv"
	"testing"
	"time"
)

// Any number of addresses takes a bounded memory, and a key that fails on and on stays
// throttled while others come and go.
func TestFailures_bounded(t *testing.T) {
	f := newFailures(addressFailures)
	now := time.Now()
	for i := range 100_000 {
		f.count(strconv.Itoa(i), now)
		retryAt := f.count("busy", now)
		if throttled := !retryAt.IsZero(); throttled != (i >= addressFailures) {
			t.Fatalf("failure %d of the busy address: throttled is %v", i+1, throttled)
		}
		if n := len(f.young) + len(f.old); n > 2*maxKeys+1 {
			t.Fatalf("%d limiters are kept", n)
		}
	}
	later := now.Add(3 * window)
	if at := f.count("busy", later); !at.IsZero() {
		t.Errorf("the busy address is throttled until %v", at)
	}
	if n := len(f.young) + len(f.old); n != 1 {
		t.Errorf("%d limiters are kept after the windows", n)
	}
}

package hublink_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/hublink"
)

// A session that lasted resets the backoff, whatever ended it.
func TestBackoff_resetAfterHealth(t *testing.T) {
	if got := hublink.LimitAfter(59 * time.Second); got != time.Minute {
		t.Errorf("after 59 s %s", got)
	}
	if got := hublink.LimitAfter(time.Minute); got != time.Second {
		t.Errorf("after a minute %s", got)
	}
}

func TestBackoff(t *testing.T) {
	got := hublink.Limits(8, time.Second, time.Minute)
	want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
	if len(got) != len(want) {
		t.Fatalf("a wait was longer than its limit: %v", got)
	}
	for i := range want {
		if got[i] != want[i]*time.Second {
			t.Errorf("limits %v, want %v seconds", got, want)
		}
	}
}

package edge_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// A session that lasted starts the waits anew, whatever ended it.
func TestWaits_anewAfterHealth(t *testing.T) {
	s := newSite(t)
	if got := edge.WaitAfter(s.client(t), 59*time.Second); got != time.Minute {
		t.Errorf("after 59 s %s", got)
	}
	if got := edge.WaitAfter(s.client(t), time.Minute); got != time.Second {
		t.Errorf("after a minute %s", got)
	}
}

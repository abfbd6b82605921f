package module_test

import (
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module"
)

// A reason that goes while nothing is desired and no connection is lost goes from the
// twin, too.
func TestReasons_areToldWhenTheyChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = taken.Addr().String()
	s.env["RTSPTUNNEL_SPELLING"] = "wrong"
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"degraded", []string{"CFG_ENV", "HEALTH_LISTEN"}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
	taken.Close()
	s.log.Await(t, "health is served", 1)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for want := (state{"degraded", []string{"CFG_ENV"}}); !cmp.Equal(s.state(t), want); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("state %+v, want %+v; the log:\n%s", s.state(t), want, s.log)
		}
	}
}

// What no twin should do, and one does some day, costs that one.
func TestTwin_panics(t *testing.T) {
	if reported := module.TwinOfNobody([]byte(`{"desired":{"$version":1}}`)); reported != nil {
		t.Errorf("reported %s", reported)
	}
}

package module_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module"
)

// A reason disappears from the twin when its cause does, without a new twin and without a
// reconnect.
func TestReasons_areReportedWhenTheyChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	taken := listen(t)
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = taken.Addr().String()
	s.env["RTSPTUNNEL_SPELLING"] = "wrong"
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"degraded", []string{"CFG_ENV", "HEALTH_LISTEN"}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
	taken.Close()
	s.log.Await(t, "health is served", 1)
	s.reported(t, func(r report) bool { return cmp.Equal(r.state, state{"degraded", []string{"CFG_ENV"}}) })
}

// A panic while a twin is applied does not end the module.
func TestTwin_panics(t *testing.T) {
	if reported := module.TwinOfBrokenModule([]byte(`{"desired":{"$version":1}}`)); reported != nil {
		t.Errorf("reported %s", reported)
	}
}

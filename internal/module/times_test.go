package module_test

import (
	"os"
	"testing"
	"time"

	"rtsptunnel/internal/module"
)

// The product's durations, which other tests shorten.
func TestTimes_usual(t *testing.T) {
	want := module.Times{Token: time.Hour, ReportPace: 10 * time.Second, HubTurns: 3 * time.Minute}
	if got := module.UsualTimes(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Main uses these durations: a change soon after a report waits for the next one.
func TestMain_pace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	end := s.start(t, s.log)
	s.desire(t, map[string]any{"front": map[string]any{"host": "10.0.0.1"}})
	begin := time.Now()
	s.desire(t, map[string]any{"front": map[string]any{"host": "10.0.0.2"}})
	if took := time.Since(begin); took < module.UsualTimes().ReportPace/2 {
		t.Errorf("reported after %s", took)
	}
	end(os.Interrupt)
}

package hublink_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module/hublink"
)

// A hub that refuses twin requests still delivers methods, so the session goes on. The twin
// is read and reported when the hub works again.
func TestTwin_refusedInASession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.start(t, quick)
	s.await(t, 1)
	awaitState(t, s, c, "subscribed", ready)
	for _, status := range []int{429, 500} {
		if err := s.Faults().Put(faults.Rules{Twin: &faults.Twin{Status: status}}); err != nil {
			t.Fatal(err)
		}
		s.patch(t, 7)
		s.log.Await(t, "status "+strconv.Itoa(status), 3)
		s.Invoke(t, "x", `{}`)
		s.Faults().Clear()
		s.patch(t, 8)
		s.awaitReported(t)
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// awaitReported waits until the hub has the report for the newest desired properties.
func (s *site) awaitReported(t *testing.T) {
	t.Helper()
	await(t, "the newest twin reported", func() bool {
		tw, err := s.Client.Twin(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, version, _ := strings.Cut(string(tw.Properties.Desired), `"$version":`)
		version = version[:strings.IndexAny(version, ",}")]
		return strings.Contains(string(tw.Properties.Reported), `"seen":`+version)
	})
}

// A session whose requests are not answered any more is replaced, although the hub answers
// pings: the twin is read from time to time to find out.
func TestWatch_replacesASessionWithoutProgress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Watch, ts.Request = 100*time.Millisecond, 500*time.Millisecond })
	first := awaitState(t, s, c, "subscribed", ready)
	awaitState(t, s, c, "watched", func(s hublink.State) bool { return s.LastProgress.After(first.LastProgress.Add(time.Second)) })
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("a session that works was replaced: %+v", got)
	}
	if err := s.Faults().Put(faults.Rules{Twin: &faults.Twin{Hold: true}}); err != nil {
		t.Fatal(err)
	}
	awaitState(t, s, c, "replaced", func(s hublink.State) bool { return s.Attempts > 2 })
	s.Faults().Clear()
	awaitState(t, s, c, "subscribed", ready)
	s.Invoke(t, "x", `{}`)
}

package edge_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// What an edge hub gives out before it has heard from the cloud must not remove what
// is in force (Azure/iotedge, issue 1654).
func TestBelief(t *testing.T) {
	const confirm = time.Minute
	type reading struct {
		doc   string
		after time.Duration // since the reading before
		ok    bool
	}
	full, none := func(v int) string { return twinDoc(v, `"a":1,`) }, func(v int) string { return twinDoc(v, `"$metadata":{},`) }
	for name, readings := range map[string][]reading{
		"anything at first":               {{none(7), 0, true}},
		"grows":                           {{full(1), 0, true}, {full(2), 0, true}, {full(2), 0, true}},
		"emptied in order":                {{full(5), 0, true}, {none(6), 0, true}, {none(6), 0, true}},
		"empty, same version":             {{full(5), 0, true}, {none(5), time.Hour, false}, {none(5), time.Hour, false}, {full(5), 0, true}},
		"empty, version from the start":   {{full(5), 0, true}, {none(1), time.Hour, false}, {none(1), time.Hour, false}, {none(6), 0, true}},
		"older for a moment":              {{full(5), 0, true}, {full(4), 0, false}, {full(4), confirm / 2, false}, {full(5), 0, true}, {full(4), confirm, false}},
		"made anew, then desired":         {{full(5), 0, true}, {none(1), 0, false}, {full(2), time.Second, false}, {full(2), confirm, true}, {none(3), 0, true}},
		"made anew, empty before and now": {{none(5), 0, true}, {none(1), 0, false}, {full(2), 0, false}, {full(3), confirm, true}},
		"no twin is for the handler":      {{full(5), 0, true}, {`{}`, 0, true}, {`[`, 0, true}, {full(4), 0, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var b edge.Belief
			now := time.Now()
			for i, r := range readings {
				now = now.Add(r.after)
				if err := edge.Take(&b, r.doc, now, confirm); (err == nil) != r.ok {
					t.Errorf("reading %d, %s: %v", i, r.doc, err)
				}
			}
		})
	}
}

// A twin that is not believed stays unapplied, is logged, and is read again, on a new
// connection, too.
func TestTwin_doubtfulIsNotHandedOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(5, `"a":1,`))
	c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Doubt = 50 * time.Millisecond })
	s.await(t, 5)
	awaitState(t, s, c, "subscribed", ready)
	h.desire(twinDoc(1, ""))
	s.log.Await(t, "HUB_TWIN_OLD", 2)
	h.cut()
	awaitState(t, s, c, "connected anew", func(s edge.State) bool { return s.Subscribed && s.Reconnects == 1 })
	select {
	case got := <-s.module.twins:
		t.Errorf("handed over: version %d", got)
	default:
	}
	if _, reported := h.seen(); len(reported) != 1 {
		t.Errorf("reported %v", reported)
	}
	h.desire(twinDoc(6, ""))
	s.await(t, 6)
}

func TestWaits(t *testing.T) {
	got := edge.Waits(8, time.Second, time.Minute)
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

package hublink_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/module/hublink"
)

// What an edge hub returns before it has reached the cloud must not remove what is in force
// (Azure/iotedge, issue 1654).
func TestStaleTwinGuard(t *testing.T) {
	const confirm = time.Minute
	type reading struct {
		doc   string
		after time.Duration // since the previous reading
		ok    bool
	}
	full, none := func(v int) string { return twinDoc(v, `"a":1,`) }, func(v int) string { return twinDoc(v, `"$metadata":{},`) }
	for name, readings := range map[string][]reading{
		"anything at first":                   {{none(7), 0, true}},
		"grows":                               {{full(1), 0, true}, {full(2), 0, true}, {full(2), 0, true}},
		"emptied in order":                    {{full(5), 0, true}, {none(6), 0, true}, {none(6), 0, true}},
		"empty, same version":                 {{full(5), 0, true}, {none(5), time.Hour, false}, {none(5), time.Hour, false}, {full(5), 0, true}},
		"empty, version from the start":       {{full(5), 0, true}, {none(1), time.Hour, false}, {none(1), time.Hour, false}, {none(6), 0, true}},
		"older for a moment":                  {{full(5), 0, true}, {full(4), 0, false}, {full(4), confirm / 2, false}, {full(5), 0, true}, {full(4), confirm, false}},
		"created again, then desired":         {{full(5), 0, true}, {none(1), 0, false}, {full(2), time.Second, false}, {full(2), confirm, true}, {none(3), 0, true}},
		"created again, empty before and now": {{none(5), 0, true}, {none(1), 0, false}, {full(2), 0, false}, {full(3), confirm, true}},
		"no twin is for the handler":          {{full(5), 0, true}, {`{}`, 0, true}, {`[`, 0, true}, {full(4), 0, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var guard hublink.StaleTwinGuard
			now := time.Now()
			for i, r := range readings {
				now = now.Add(r.after)
				if err := hublink.Check(&guard, r.doc, now, confirm); (err == nil) != r.ok {
					t.Errorf("reading %d, %s: %v", i, r.doc, err)
				}
			}
		})
	}
}

// A stale twin is not delivered, is logged, and is read again, on a new connection, too.
func TestTwin_staleIsNotDelivered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(5, `"a":1,`))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Confirm = 50 * time.Millisecond })
	s.await(t, 5)
	awaitState(t, s, c, "subscribed", ready)
	h.desire(twinDoc(1, ""))
	s.log.Await(t, "HUB_TWIN_OLD", 2)
	h.cut()
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 })
	select {
	case got := <-s.module.twins:
		t.Errorf("delivered: version %d", got)
	default:
	}
	if _, reported := h.seen(); len(reported) != 1 {
		t.Errorf("reported %v", reported)
	}
	h.desire(twinDoc(6, ""))
	s.await(t, 6)
}

package edge_test

import (
	"testing"
	"time"

	"rtsptunnel/internal/edge"
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

// A twin that is not believed stays unapplied, is logged, and is read again; what was
// reported before is reported on the new connection all the same.
func TestTwin_doubtfulIsNotHandedOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(5, `"a":1,`))
	c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Doubt = 50 * time.Millisecond })
	s.await(t, 5)
	awaitState(t, s, c, "subscribed", ready)
	h.desire(twinDoc(1, ""))
	s.log.Await(t, "HUB_TWIN_OLD", 2)
	_, before := h.seen()
	h.cut()
	await(t, "the report again", func() bool { _, now := h.seen(); return len(now) > len(before) })
	awaitState(t, s, c, "subscribed", ready)
	select {
	case got := <-s.module.twins:
		t.Errorf("handed over: version %d", got)
	default:
	}
	_, reported := h.seen()
	for _, r := range reported {
		if r != `{"seen":5}` {
			t.Errorf("reported %s", r)
		}
	}
	h.desire(twinDoc(6, ""))
	s.await(t, 6)
}

// Fifty changes a second are read at the hub's pace, and the last wins.
func TestTwin_flapping(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	begin, tick := time.Now(), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	n := 1
	for ; time.Since(begin) < 2*time.Second; n++ {
		<-tick.C
		h.desire(twinDoc(n+1, `"a":1,`))
	}
	s.await(t, int64(n))
	reads, _ := h.seen()
	seconds := int(time.Since(begin)/time.Second) + 1
	if reads > 2+3+seconds || reads < 5 {
		t.Errorf("%d readings in %d s", reads, seconds)
	}
}

// Reports have a slower pace of their own, however often there is something new.
func TestReport_flapping(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.client(t)
	edge.ReadAtOnce(c)
	s.keep(t, c)
	s.await(t, 1)
	awaitState(t, s, c, "subscribed", ready)
	begin := time.Now()
	const changes = 40
	for n := range changes {
		h.desire(twinDoc(n+2, ""))
		s.await(t, int64(n+2))
	}
	_, reported := h.seen()
	if n, most := len(reported), 1+6+int(time.Since(begin)/(10*time.Second))+1; n > most || n < 3 {
		t.Errorf("%d reports of %d changes, want at most %d", n, changes, most)
	}
}

// Reported properties go out once and after each connect; refused, they are tried
// again at growing distances, and the connection stays.
func TestReport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	count := func() int { _, reported := h.seen(); return len(reported) }
	await(t, "a report", func() bool { return count() == 1 })
	h.desire(twinDoc(1, `"a":1,`)) // read, handed over, and the report is the same
	await(t, "a reading", func() bool { reads, _ := h.seen(); return reads >= 3 })
	h.desire(twinDoc(1, `"a":2,`)) // this reading comes after what follows from the other
	await(t, "another", func() bool { reads, _ := h.seen(); return reads >= 4 })
	if n := count(); n != 1 {
		t.Errorf("%d reports", n)
	}
	h.cut()
	await(t, "a report after the reconnect", func() bool { return count() >= 2 })
	awaitState(t, s, c, "subscribed", ready)
	if n := count(); n != 2 {
		t.Errorf("%d reports", n)
	}
	for n, status := range []int{429, 500, 503} {
		h.refuse(status)
		h.desire(twinDoc(2+n, ""))
		before := count()
		await(t, "tried again", func() bool { return count() >= before+3 })
		h.refuse(204)
		before = count()
		await(t, "taken", func() bool { return count() > before })
	}
	if got := c.State(); got.Reconnects != 1 || got.Attempts != 2 {
		t.Errorf("%+v", got)
	}
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

package hublink_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/module/hublink"
)

// The intervals of reports and of twin reads follow from Options.ReportPace.
func TestPace(t *testing.T) {
	s := newSite(t)
	for pace, want := range map[time.Duration][]time.Duration{
		0:           {time.Second, 10 * time.Second, 9 * time.Second},
		time.Second: {100 * time.Millisecond, time.Second, 900 * time.Millisecond},
	} {
		s.o.ReportPace = pace
		c, err := hublink.New(s.o)
		if err != nil {
			t.Fatal(err)
		}
		hublink.SetTimes(c, func(ts *hublink.Times) {
			if got := []time.Duration{ts.Read, ts.Report, ts.Acknowledge}; !slices.Equal(got, want) {
				t.Errorf("pace %s: %v, want %v", pace, got, want)
			}
		})
	}
}

// timed is an echo that records when it gets a twin.
type timed struct {
	*echo
	mu    sync.Mutex
	given []time.Time
}

func (m *timed) Twin(doc []byte, c hublink.Connection) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given = append(m.given, time.Now())
	return m.echo.Twin(doc, c)
}

// A hundred changes a second are delivered at the pace of reads and reported at a slower one.
// The last one wins, and each is acknowledged soon.
func TestTwin_flapping(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := &timed{echo: s.module}
	s.o.Handler = module
	h := newFakeHub(t, s, twinDoc(1, ""))
	const read = 50 * time.Millisecond
	s.o.ReportPace = 10 * read
	c := s.start(t, func(*hublink.Times) {})
	awaitState(t, s, c, "subscribed", ready)
	var desired []time.Time // version 2 and the following
	begin, tick := time.Now(), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for time.Since(begin) < 50*read {
		<-tick.C
		desired = append(desired, time.Now())
		h.desire(twinDoc(len(desired)+1, `"a":1,`))
	}
	last := len(desired) + 1
	await(t, "the last version's report", func() bool {
		_, reported := h.seen()
		return slices.Contains(reported, seenReport(last))
	})
	took := time.Since(begin)

	module.mu.Lock()
	defer module.mu.Unlock()
	for i := 2; i < len(module.given); i++ { // the first two are part of the connect
		if gap := module.given[i].Sub(module.given[i-1]); gap < read {
			t.Errorf("a twin %s after the previous one", gap)
		}
	}
	if n := len(module.given); n < 5 {
		t.Errorf("only %d twins in %s", n, took)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if n, most := len(h.sent), 3+int(took/(7*read)); n > most {
		t.Errorf("%d reports in %s, want at most %d", n, took, most)
	}
	acknowledged := 1
	for i, at := range h.sent {
		version, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(h.reported[i], `{"seen":`), "}"))
		for ; acknowledged < version; acknowledged++ {
			if wait := at.Sub(desired[acknowledged-1]); wait > 5*time.Second {
				t.Errorf("version %d was acknowledged after %s", acknowledged+1, wait)
			}
		}
	}
}

func seenReport(version int) string { return `{"seen":` + strconv.Itoa(version) + `}` }

// scripted is an echo that reports what the test has set, whatever the hub has.
type scripted struct {
	*echo
	mu    sync.Mutex
	patch string // nil if empty
}

func (m *scripted) Twin(doc []byte, c hublink.Connection) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.echo.Twin(doc, c)
	if m.patch == "" {
		return nil
	}
	return []byte(m.patch)
}

func (m *scripted) set(patch string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.patch = patch
}

// newScripted replaces the site's module.
func newScripted(s *site, patch string) *scripted {
	m := &scripted{echo: s.module, patch: patch}
	s.o.Handler = m
	return m
}

// Reports without new desired properties keep the pace of reports, and the last one wins. A
// patch that is returned again is written again, since the hub does not have it.
func TestReport_pace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := newScripted(s, `{"n":0}`)
	h := newFakeHub(t, s, twinDoc(1, ""))
	begin := time.Now()
	const pace = 500 * time.Millisecond
	s.o.ReportPace = pace
	c := s.start(t, func(ts *hublink.Times) { ts.Read = time.Millisecond })
	awaitState(t, s, c, "subscribed", ready)
	count := func() int { _, reported := h.seen(); return len(reported) }
	for n := 1; count() < 4; n++ {
		module.set(`{"n":` + strconv.Itoa(n) + `}`)
		c.Refresh()
		s.await(t, 1)
	}
	if took := time.Since(begin); took < 3*pace {
		t.Errorf("four reports within %s", took)
	}
	module.set(`{"n":-1}`)
	for range 2 {
		before := count()
		c.Refresh()
		await(t, "the same patch", func() bool { return count() > before })
	}
	if _, reported := h.seen(); reported[len(reported)-2] != `{"n":-1}` || reported[len(reported)-1] != `{"n":-1}` {
		t.Errorf("reported %v", reported)
	}
}

// After a time without reports a change is reported at once.
func TestReport_afterQuiet(t *testing.T) {
	t.Parallel()
	const pace = 4 * time.Second
	s := newSite(t)
	module := newScripted(s, `{"n":0}`)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Report, ts.Turn = pace, 50*time.Millisecond })
	await(t, "a report", func() bool { _, reported := h.seen(); return len(reported) == 1 })
	awaitTurns(t, s, c, pace)
	module.set(`{"n":1}`)
	begin := time.Now()
	c.Refresh()
	await(t, "another", func() bool { _, reported := h.seen(); return len(reported) == 2 })
	if took := time.Since(begin); took > pace/2 {
		t.Errorf("it took %s", took)
	}
}

// A patch that waits is replaced by a newer one, or by none. One that acknowledges new desired
// properties does not wait.
func TestReport_newerPatchWins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := newScripted(s, `{"n":1}`)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Report = 1000 * time.Hour })
	expect := func(want ...string) {
		t.Helper()
		await(t, strings.Join(want, ", "), func() bool { _, reported := h.seen(); return len(reported) >= len(want) })
		if _, reported := h.seen(); !slices.Equal(reported, want) {
			t.Errorf("reported %v, want %v", reported, want)
		}
	}
	expect(`{"n":1}`)
	awaitState(t, s, c, "subscribed", ready)
	s.await(t, 1)
	refresh := func(patch string) {
		module.set(patch)
		c.Refresh()
		s.await(t, 1)
	}
	refresh(`{"n":2}`)
	module.set("")
	h.desire(twinDoc(2, ""))
	s.await(t, 2)
	refresh(`{"n":3}`)
	module.set(`{"n":4}`)
	h.desire(twinDoc(3, ""))
	expect(`{"n":1}`, `{"n":4}`)
}

// A report that waits when the connection ends is sent on the next connection, and so is one
// for desired properties that changed in between.
func TestReport_acrossConnections(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	module := newScripted(s, `{"n":1}`)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Report, ts.Acknowledge = time.Second, time.Second })
	expect := func(want string) {
		t.Helper()
		await(t, want, func() bool { _, reported := h.seen(); return slices.Contains(reported, want) })
	}
	expect(`{"n":1}`)
	awaitState(t, s, c, "subscribed", ready)
	s.await(t, 1)
	module.set(`{"n":2}`)
	h.desire(twinDoc(2, ""))
	s.await(t, 2) // its report waits
	h.cut()
	expect(`{"n":2}`)
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 1 })
	module.set("")
	h.cut()
	awaitState(t, s, c, "connected anew", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == 2 })
	if _, reported := h.seen(); len(reported) != 2 {
		t.Errorf("reported %v", reported)
	}
}

// Reported properties are written once, and again if the hub has lost them. After a refusal
// they are retried with backoff, and the connection stays.
func TestReport(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	count := func() int { _, reported := h.seen(); return len(reported) }
	await(t, "a report", func() bool { return count() == 1 })
	h.desire(twinDoc(1, `"a":1,`)) // read, delivered, and the hub has the report
	await(t, "a read", func() bool { reads, _ := h.seen(); return reads >= 3 })
	h.desire(twinDoc(1, `"a":2,`)) // this read comes after the effects of the other one
	await(t, "another", func() bool { reads, _ := h.seen(); return reads >= 4 })
	if n := count(); n != 1 {
		t.Errorf("%d reports", n)
	}
	h.forget()
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
		await(t, "retried", func() bool { return count() >= before+3 })
		h.refuse(204)
		before = count()
		await(t, "accepted", func() bool { return count() > before })
	}
	if got := c.State(); got.Reconnects != 1 || got.Attempts != 2 {
		t.Errorf("%+v", got)
	}
}

package hublink

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/module/hubconn"
)

// Protocols returns the protocols of so many attempts, which all fail but those in arrive.
func Protocols(l *Link, attempts int, arrive ...int) []hubconn.Protocol {
	var tried []hubconn.Protocol
	for i := range attempts {
		r := l.routes.next()
		tried = append(tried, r.Protocol)
		l.routes.result(r, slices.Contains(arrive, i))
	}
	return tried
}

// Warned returns which of n identical failures are warnings.
func Warned(n int) []int {
	var f failures
	var warned []int
	for i := range n {
		if times, level := f.add(failureKind{}); level == zerolog.WarnLevel && times == i+1 {
			warned = append(warned, times)
		}
	}
	return warned
}

// Times are the timeouts and intervals, which tests shorten.
type Times = times

// SetTimes changes them.
func SetTimes(l *Link, change func(*Times)) { change(&l.t) }

// StaleTwinGuard rejects stale twins.
type StaleTwinGuard = staleTwinGuard

// Check is nil if the guard accepts doc.
func Check(g *StaleTwinGuard, doc string, now time.Time, confirm time.Duration) error {
	return g.check([]byte(doc), now, confirm)
}

// Limits returns the limits of n waits in a row.
func Limits(n int, first, last time.Duration) []time.Duration {
	var b backoff
	var limits []time.Duration
	for range n {
		if b.next(first, last, last) >= b.limit {
			return nil
		}
		limits = append(limits, b.limit)
	}
	return limits
}

// LimitAfter is the limit of the wait after a session that served for so long and came
// after waits with the highest limit.
func LimitAfter(served time.Duration) time.Duration {
	t := usualTimes(0)
	r := retries{waits: backoff{limit: t.LastWait}, since: time.Now().Add(-served)}
	r.settle(t)
	r.waits.next(t.FirstWait, t.LastWait, t.LastWait)
	return r.waits.limit
}

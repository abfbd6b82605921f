package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
)

const (
	// looks is how many times in an idle timeout it is looked whether a tunnel has
	// carried a byte: one is ended by so much later than it could be, and never sooner.
	looks = 8
	// lookPause is the least between two looks at all tunnels.
	lookPause = 100 * time.Millisecond
)

// expire ends the tunnels that are too old, or idle for too long. One timer calls it for
// all of them, and none while nothing limits either.
func (s *Set) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireAt(time.Now())
}

// expireAt is expire for a caller that holds mu, at any time.
func (s *Set) expireAt(now time.Time) {
	// Late: this process was stopped, and has not seen the bytes that came since.
	late := s.look != nil && now.Sub(s.lookAt) > s.limits.IdleTimeout/looks+time.Second
	for t := range s.slots {
		if why := t.expired(now, late, s.limits); why != "" {
			s.end(t, why, endTime)
		}
	}
	s.lookLater(now)
}

// expired is why a tunnel may not go on; nothing if it may, or is not open yet.
func (t *slot) expired(now time.Time, late bool, l Limits) reason.Code {
	if !t.info.Open {
		return ""
	}
	carried := t.bytes.AtoB.Load() + t.bytes.BtoA.Load()
	if carried != t.carried || late || t.pace.Waiting() { // one that waits for its rate is not idle
		t.carried, t.active = carried, now
	}
	switch {
	case l.MaxAge > 0 && now.Sub(t.opened) >= l.MaxAge:
		return reason.LimitAge
	case l.IdleTimeout > 0 && now.Sub(t.active) >= l.IdleTimeout:
		return reason.LimitIdle
	default:
		return ""
	}
}

// lookLater sets the timer for when the next tunnel may have to end, and stops it if
// none may. The caller holds mu.
func (s *Set) lookLater(now time.Time) {
	if s.look != nil {
		s.look.Stop()
		s.look = nil
	}
	var next time.Time
	by := func(limit time.Duration, at time.Time) {
		if limit > 0 && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for t := range s.slots {
		if t.info.Open && t.forced == nil {
			by(s.limits.IdleTimeout, now.Add(s.limits.IdleTimeout/looks))
			by(s.limits.MaxAge, t.opened.Add(s.limits.MaxAge))
		}
	}
	if next.IsZero() {
		return
	}
	wait := max(next.Sub(now), lookPause)
	s.look, s.lookAt = time.AfterFunc(wait, s.expire), now.Add(wait)
}

package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
)

const (
	// idleChecks is the number of checks in an idle timeout. An idle tunnel ends late by
	// up to one interval, and never early.
	idleChecks = 8
	// minCheckInterval is the least time between two checks of all tunnels.
	minCheckInterval = 100 * time.Millisecond
)

// expire ends the tunnels that are too old or idle for too long. One timer for all
// tunnels calls it; there is no timer while neither is limited.
func (s *Set) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireAt(time.Now())
}

// expireAt is expire for a caller that holds mu.
func (s *Set) expireAt(now time.Time) {
	// A late timer means that the process was stopped: bytes may have come in that time.
	late := s.expiry != nil && now.Sub(s.expiryAt) > s.limits.IdleTimeout/idleChecks+time.Second
	for t := range s.slots {
		if why := t.expired(now, late, s.limits); why != "" {
			s.end(t, why, endTimeout)
		}
	}
	s.scheduleExpiry(now)
}

// expired returns why a tunnel is to end. It is empty if the tunnel may go on, or is not
// open yet.
func (t *slot) expired(now time.Time, late bool, l Limits) reason.Code {
	if !t.info.Open {
		return ""
	}
	carried := t.bytes.AtoB.Load() + t.bytes.BtoA.Load()
	if carried != t.carried || late || t.pace.Waiting() { // a tunnel that waits for its rate is not idle
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

// scheduleExpiry sets the timer to the next time at which a tunnel may expire, or stops
// it if none can. The caller holds mu.
func (s *Set) scheduleExpiry(now time.Time) {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	var next time.Time
	by := func(limit time.Duration, at time.Time) {
		if limit > 0 && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for t := range s.slots {
		if t.info.Open && t.resetTimer == nil {
			by(s.limits.IdleTimeout, now.Add(s.limits.IdleTimeout/idleChecks))
			by(s.limits.MaxAge, t.opened.Add(s.limits.MaxAge))
		}
	}
	if next.IsZero() {
		return
	}
	wait := max(next.Sub(now), minCheckInterval)
	s.expiry, s.expiryAt = time.AfterFunc(wait, s.expire), now.Add(wait)
}

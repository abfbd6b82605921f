package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Limits are how many tunnels there may be, and how long opening one may take. A
// field that is zero has its default, but for Enabled.
type Limits struct {
	Enabled       bool          // false: nothing is opened, and nothing stays open
	Max           int           // tunnels at a time, those being opened included; 64
	CameraTimeout time.Duration // for dialling the camera; 5 s
	RemoteTimeout time.Duration // for dialling the remote endpoint; 10 s
	OpenTimeout   time.Duration // for both together; 20 s

	IdleTimeout time.Duration // that an open tunnel may be without a byte either way; for ever
	MaxAge      time.Duration // that a tunnel may be open; for ever
}

// DefaultLimits are those of a Set that was told none.
func DefaultLimits() Limits { return Limits{Enabled: true}.withDefaults() }

func (l Limits) withDefaults() Limits {
	if l.Max == 0 {
		l.Max = 64
	}
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&l.CameraTimeout, 5*time.Second)
	fill(&l.RemoteTimeout, 10*time.Second)
	fill(&l.OpenTimeout, 20*time.Second)
	return l
}

// Limit puts other limits in force for what is opened from now on. Fewer tunnels
// than there are end none of them; Enabled false ends all, as End does with
// reason.Disabled. IdleTimeout and MaxAge hold for all tunnels: those that are beyond
// end as by End, with reason.LimitIdle and reason.LimitAge, now or when they will be.
func (s *Set) Limit(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l.withDefaults()
	if !l.Enabled {
		for t := range s.slots {
			s.end(t, reason.Disabled, endTime)
		}
	}
	s.expireAt(time.Now())
}

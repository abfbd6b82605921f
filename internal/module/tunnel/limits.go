package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Limits limit the number of tunnels, the dials, and the life of a tunnel. A field that
// is zero has the default in its comment.
type Limits struct {
	Enabled       bool          // false, the default: no tunnel opens or stays open
	Max           int           // tunnels that are open or being opened; 64 if 0
	CameraTimeout time.Duration // of the dial of the camera; 5 s if 0
	RemoteTimeout time.Duration // of the dial of the remote endpoint; 10 s if 0
	OpenTimeout   time.Duration // of both dials together; 20 s if 0

	IdleTimeout time.Duration // of an open tunnel without a byte in either direction; none if 0
	MaxAge      time.Duration // of an open tunnel; none if 0
}

// DefaultLimits returns the limits of a Set whose Options set none: enabled, with the
// defaults of the other fields.
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

// Limit changes the limits for new requests. For open tunnels only some fields count:
// Enabled false ends them all, as End does with reason.Disabled. IdleTimeout and MaxAge
// end a tunnel that exceeds them, now or later, with reason.LimitIdle and
// reason.LimitAge. A Max below the number of tunnels ends none.
func (s *Set) Limit(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l.withDefaults()
	if !l.Enabled {
		for t := range s.slots {
			s.end(t, reason.Disabled, endTimeout)
		}
	}
	s.expireAt(time.Now())
}

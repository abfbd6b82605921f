package media

import "time"

// WallClock estimates when a unit of an epoch would have arrived without the network's
// delays. The network delays units, but never delivers them early: the least delayed unit is
// the best estimate. The zero value is ready for an epoch. It is not safe for concurrent use.
type WallClock struct {
	zero time.Time // arrival of PTS 0, of the least delayed unit
	at   time.Time // when zero was updated
}

const (
	// wallDrift is how fast the estimate follows units that arrive later and later, as a
	// fraction of time: a camera's quartz is off by less than 0.0001.
	wallDrift = 0.001
	// wallLag is how far the estimate may be before the arrival.
	wallLag = 3 * time.Second
)

// Update takes a unit that arrived at now and whose time is pts after PTS 0.
func (w *WallClock) Update(pts time.Duration, now time.Time) {
	age := now.Sub(w.zero) // of the monotonic clock
	switch {
	case w.at.IsZero() || pts > age:
		age = pts // it arrived earlier than the estimate says
	default:
		drift := time.Duration(float64(now.Sub(w.at)) * wallDrift)
		age = min(max(age-drift, pts), pts+wallLag)
	}
	// Counted from now, the estimate follows a change of the system's wall clock.
	w.zero, w.at = now.Add(-age), now
}

// Zero returns the estimated arrival of PTS 0. It is the zero Time before the first Update.
func (w *WallClock) Zero() time.Time { return w.zero }

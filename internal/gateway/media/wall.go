package media

import "time"

// WallClock smooths the arrival times of one epoch: the network delays units, but never
// delivers them early, so the least delay is the best estimate. It is not safe for
// concurrent use.
type WallClock struct {
	offset time.Time // of PTS 0: the least delayed unit's arrival minus its time
	at     time.Time // when offset was set
	last   time.Time
}

const (
	// wallDrift is how fast the estimate follows units that arrive later and later, as a
	// fraction: a camera's quartz is off by less than 0.0001.
	wallDrift = 0.001
	// wallLag is how far the estimate may be behind the arrival.
	wallLag = 3 * time.Second
)

// At returns the smoothed arrival of a unit whose time is pts after PTS 0. It is never later
// than the arrival, and never earlier than the time of the call before.
func (w *WallClock) At(pts time.Duration, arrival time.Time) time.Time {
	offset := arrival.Add(-pts)
	if w.at.IsZero() {
		w.offset, w.at = offset, arrival
	}
	risen := w.offset.Add(time.Duration(float64(arrival.Sub(w.at)) * wallDrift))
	switch {
	case offset.Before(risen):
		w.offset = offset
	case offset.Sub(risen) > wallLag:
		w.offset = offset.Add(-wallLag)
	default:
		w.offset = risen
	}
	w.at = arrival
	if t := w.offset.Add(pts); t.After(w.last) {
		w.last = t
	}
	return w.last
}

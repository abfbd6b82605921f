package stream

import (
	"math"
	"slices"
	"time"

	"rtsptunnel/internal/gateway/media"
)

// timeline numbers the epochs and packets of a stream over all its sessions.
type timeline struct {
	epoch  *media.Epoch  // of the newest unit; nil while the stream is idle
	number uint32        // of the newest epoch
	origin time.Time     // of the first epoch's PTS 0
	last   time.Duration // the end, while epoch is nil

	// By track:
	seq   []uint32 // packets so far
	top   []int64  // the highest Base+PTS of the epoch
	floor []int64  // what Base+DTS of the epoch is at least
	dts   []int64  // of the newest unit of the epoch; -1 before the first one
	step  []int64  // expected from one unit to the next
}

// epochGap is the least time from the last unit of an epoch to the first one of the next.
const epochGap = time.Millisecond

// place gives a unit its Seq, and its epoch a number and a base if it is new. It reports
// whether the unit belongs into the ring. An epoch begins at the first key frame of its main
// track: what precedes that cannot be decoded, or has no picture. Units of an older epoch
// are late, and so is sound from before the end of the last epoch. fresh says that the
// session has no unit in the ring yet.
func (t *timeline) place(u *media.Unit, now time.Time, fresh bool) bool {
	e := u.Epoch
	if e == nil || u.Track < 0 || u.Track >= len(e.Tracks) {
		return false
	}
	if e != t.epoch || fresh {
		if e.Base != nil || !u.Key || u.Track != e.MainTrack() {
			return false
		}
		t.begin(u, now)
	}
	if e.Base[u.Track]+u.DTS < t.floor[u.Track] {
		return false
	}
	t.top[u.Track] = max(t.top[u.Track], e.Base[u.Track]+u.PTS)
	u.Duration = t.pace(u)
	u.Seq = t.seq[u.Track]
	t.seq[u.Track] += uint32(len(u.Packets)) //nolint:gosec // G115: it wraps like RTP's numbers
	return true
}

// begin numbers the epoch of its first unit. Its base is the wall clock's distance from the
// first epoch, or more if the wall clock went back.
func (t *timeline) begin(u *media.Unit, now time.Time) {
	e := u.Epoch
	first := duration(u.DTS, e.Tracks[u.Track].ClockRate)
	zero := e.Begin
	if zero.IsZero() {
		zero = now.Add(-first)
	}
	if t.number == 0 {
		t.origin = zero
	}
	offset, end := zero.Sub(t.origin), t.end()
	if t.number > 0 {
		offset = max(offset, end+epochGap-first)
	}
	t.number++
	t.epoch = e
	e.Number = t.number
	e.Base = make([]int64, len(e.Tracks))
	t.top, t.floor = make([]int64, len(e.Tracks)), make([]int64, len(e.Tracks))
	t.dts, t.step = slices.Repeat([]int64{-1}, len(e.Tracks)), make([]int64, len(e.Tracks))
	for len(t.seq) < len(e.Tracks) {
		t.seq = append(t.seq, 0)
	}
	for i, track := range e.Tracks {
		e.Base[i] = ticks(offset, track.ClockRate)
		t.top[i] = e.Base[i]
		t.floor[i] = math.MinInt64
		if t.number > 1 {
			t.floor[i] = ticks(end, track.ClockRate) + 1
		}
	}
}

// pace returns how long the unit is expected to last: the longest of the last steps, so that
// outputs have no gap behind it. It is 0 for the first unit.
func (t *timeline) pace(u *media.Unit) int64 {
	last := t.dts[u.Track]
	t.dts[u.Track] = u.DTS
	if last < 0 {
		return 0
	}
	const memory = 16 // steps
	step := &t.step[u.Track]
	*step = max(u.DTS-last, *step-*step/memory)
	return *step
}

// end returns the time of the last unit since the origin.
func (t *timeline) end() time.Duration {
	if t.epoch == nil {
		return t.last
	}
	var end time.Duration
	for i, track := range t.epoch.Tracks {
		end = max(end, duration(t.top[i], track.ClockRate))
	}
	return end
}

// close lets go of the epoch, for a stream that becomes idle.
func (t *timeline) close() {
	t.last = t.end()
	t.epoch, t.top, t.floor, t.dts, t.step = nil, nil, nil, nil, nil
}

// ticks converts a time to ticks of a clock. It does not overflow within 292 years.
func ticks(d time.Duration, rate int) int64 {
	seconds, rest := int64(d/time.Second), int64(d%time.Second)
	return seconds*int64(rate) + rest*int64(rate)/int64(time.Second)
}

// duration converts ticks of a clock to a time.
func duration(ticks int64, rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	seconds, rest := ticks/int64(rate), ticks%int64(rate)
	return time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate)
}

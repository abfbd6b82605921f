package source

import (
	"maps"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"rtsptunnel/internal/gateway/media"
)

// lane is one track's place in time. Its ticks are RTP timestamps without wrap-around.
type lane struct {
	track media.Track
	sets  media.Parameters // in force, or those of the next epoch

	seen    bool
	last    uint32    // RTP timestamp of the last unit
	ticks   int64     // its extension to 64 bits
	arrived time.Time // when it arrived

	// Of the epoch:
	mapped  bool  // zero is known
	settled bool  // zero does not change any more
	zero    int64 // ticks of PTS 0
	first   int64 // ticks of the first unit
	least   time.Time
	dts     *media.DTS
	floor   int64 // units up to this PTS are left out
	key     int64 // PTS of the last key frame
	top     int64 // the greatest PTS
	wall    time.Time
	waiting bool // for a key frame: what it depends on is missing
	entry   bool // the last key frame is the first after a wait
}

// jump is how far timestamps and arrivals may differ between two units. A greater difference
// is a jump of the camera's clock.
const jump = 3 * time.Second

// tolerance is how far a timestamp may be before its predecessors, beyond the reordering of
// B frames, before it is a jump: some cameras' clocks are not steady.
const tolerance = 100 * time.Millisecond

// advance takes the RTP timestamp of the next unit. It reports whether the camera's clock
// jumped forward.
func (n *lane) advance(timestamp uint32, now time.Time) (jumped bool) {
	if !n.seen {
		n.seen, n.last, n.arrived = true, timestamp, now
	}
	delta := int64(int32(timestamp - n.last)) //nolint:gosec // the difference of two timestamps that may have wrapped around
	passed := now.Sub(n.arrived)
	n.ticks, n.last, n.arrived = n.ticks+delta, timestamp, now
	elapsed := duration(delta, n.track.ClockRate)
	return elapsed > jump && elapsed-passed > jump
}

// pts returns the PTS of the last unit.
func (n *lane) pts() int64 { return n.ticks - n.zero }

// back reports whether the last unit is before the given PTS by more than the tolerance.
func (n *lane) back(pts int64) bool {
	return n.pts() < pts-ticks(tolerance, n.track.ClockRate)
}

// ordered reports whether the codec's pictures depend on others.
func (n *lane) ordered() bool { return n.track.Codec == media.H264 || n.track.Codec == media.H265 }

// renew forgets the epoch.
func (n *lane) renew() {
	*n = lane{
		track: n.current(), sets: n.sets,
		seen: n.seen, last: n.last, ticks: n.ticks, arrived: n.arrived,
		dts: media.NewDTS(n.track.Codec), floor: -1, waiting: n.ordered(), wall: n.wall,
	}
}

// current returns the track with the parameter sets in force.
func (n *lane) current() media.Track {
	if n.sets.Equal(n.track.Parameters()) {
		return n.track
	}
	t := n.track.With(n.sets)
	t.FMTP = maps.Clone(t.FMTP)
	maps.Copy(t.FMTP, fmtp(t))
	return t
}

// fmtp returns the format parameters that depend on the parameter sets.
func fmtp(t media.Track) map[string]string {
	switch t.Codec {
	case media.H264:
		return (&format.H264{SPS: t.SPS, PPS: t.PPS}).FMTP()
	case media.H265:
		return (&format.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}).FMTP()
	default:
		return nil
	}
}

// decodable looks at a unit, and puts the parameter sets before a key frame that lacks them.
// It reports whether a decoder that got the units before it can use it, and whether its
// parameter sets differ from those before.
func (n *lane) decodable(u *media.Unit) (ok, changed bool) {
	if !n.ordered() {
		return true, false
	}
	p := media.Inspect(n.track.Codec, u.Payload)
	u.Key = p.Key
	if !p.Key {
		return !n.waiting && (!n.entry || !p.Leading), false
	}
	before := n.sets
	missing := n.sets.Update(n.track.Codec, u.Payload)
	if !n.sets.Complete(n.track.Codec) {
		return false, false
	}
	prepend(u, missing)
	n.entry, n.waiting = n.waiting, false
	return true, !n.sets.Equal(before)
}

// ticks returns a duration in ticks of a clock.
func ticks(d time.Duration, rate int) int64 {
	s, rest := d/time.Second, d%time.Second
	return int64(s)*int64(rate) + int64(rest)*int64(rate)/int64(time.Second)
}

// duration returns ticks of a clock as a duration.
func duration(ticks int64, rate int) time.Duration {
	s, rest := ticks/int64(rate), ticks%int64(rate)
	return time.Duration(s)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate)
}

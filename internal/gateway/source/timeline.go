package source

import (
	"maps"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format"

	"rtsptunnel/internal/gateway/media"
)

// timeline gives access units their epoch and their times, and drops those that a decoder
// cannot use. It is used by one goroutine.
type timeline struct {
	deliver func(*media.Unit)
	epoch   *media.Epoch // nil before the first key frame
	main    int
	lanes   []*lane
	wall    media.WallClock
	zero    time.Time // arrival of PTS 0
	waiting bool      // for a key frame, after a loss
	dropped uint64    // units that were not delivered after the first epoch began

	described *media.Epoch
}

// lane is the place of one track in time.
type lane struct {
	track  media.Track
	sets   media.Parameters
	dts    *media.DTS
	ssrc   uint32
	last   uint32 // RTP timestamp of the last unit
	ticks  int64  // its extension to 64 bits
	seen   bool
	zero   int64 // ticks of PTS 0
	mapped bool  // zero is known in this epoch
}

func newTimeline(deliver func(*media.Unit)) *timeline { return &timeline{deliver: deliver} }

// describe sets the tracks. The caller reads described afterwards.
func (l *timeline) describe(tracks []*track) {
	l.described = &media.Epoch{Begin: time.Now()}
	for _, t := range tracks {
		l.described.Tracks = append(l.described.Tracks, t.description)
		l.lanes = append(l.lanes, &lane{track: t.description, sets: t.description.Parameters()})
	}
	l.main = l.described.MainTrack()
}

// add takes the next access unit of track i, which arrived at now.
func (l *timeline) add(i int, a accessUnit, now time.Time) {
	n := l.lanes[i]
	if a.broken {
		l.dropped++
		l.waiting = l.waiting || i == l.main && n.track.Codec != media.MJPEG
		return
	}
	n.advance(a.timestamp)
	u := &media.Unit{Track: i, Payload: a.payload, Packets: a.packets, Key: true}
	if i == l.main {
		l.picture(n, u, now)
		return
	}
	l.other(n, u, now)
}

// advance extends an RTP timestamp to 64 bits.
func (n *lane) advance(timestamp uint32) {
	if !n.seen {
		n.seen, n.last = true, timestamp
	}
	n.ticks += int64(int32(timestamp - n.last)) //nolint:gosec // the difference of two timestamps that may have wrapped around
	n.last = timestamp
}

// picture takes a unit of the main track.
func (l *timeline) picture(n *lane, u *media.Unit, now time.Time) {
	if n.track.Codec == media.H264 || n.track.Codec == media.H265 {
		u.Key = media.Inspect(n.track.Codec, u.Payload).Key
	}
	if !u.Key && (l.epoch == nil || l.waiting) {
		l.dropped++
		return
	}
	if u.Key {
		l.waiting = false
		before := n.sets
		missing := n.sets.Update(n.track.Codec, u.Payload)
		if !n.sets.Complete(n.track.Codec) {
			l.dropped++
			return
		}
		prepend(u, missing)
		if l.epoch == nil || !n.sets.Equal(before) {
			l.begin(n, now)
		}
	}
	l.send(n, u, now)
}

// begin begins an epoch with a unit of the main track.
func (l *timeline) begin(n *lane, now time.Time) {
	l.wall = media.WallClock{}
	l.zero = now
	l.epoch = &media.Epoch{Begin: now}
	for _, o := range l.lanes {
		o.mapped = false
		o.dts = media.NewDTS(o.track.Codec)
		l.epoch.Tracks = append(l.epoch.Tracks, o.current())
	}
	n.zero, n.mapped = n.ticks, true
}

// current returns the track with the parameter sets in force.
func (n *lane) current() media.Track {
	if n.sets.Equal(n.track.Parameters()) {
		return n.track
	}
	t := n.track.With(n.sets)
	t.FMTP = maps.Clone(t.FMTP)
	for k, v := range fmtp(t) {
		t.FMTP[k] = v
	}
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

// other takes a unit of a track that is not the main one.
func (l *timeline) other(n *lane, u *media.Unit, now time.Time) {
	if l.epoch == nil {
		return
	}
	if !n.mapped {
		n.zero, n.mapped = n.ticks-ticks(now.Sub(l.zero), n.track.ClockRate), true
	}
	l.send(n, u, now)
}

// send gives the unit its times, and delivers it.
func (l *timeline) send(n *lane, u *media.Unit, now time.Time) {
	u.Epoch = l.epoch
	u.PTS = n.ticks - n.zero
	if u.PTS < 0 {
		l.dropped++
		return
	}
	u.DTS = n.dts.Next(u.Payload, u.PTS)
	u.Wall = l.wall.At(duration(u.PTS, n.track.ClockRate), now)
	l.deliver(u)
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

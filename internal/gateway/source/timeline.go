package source

import (
	"sync/atomic"
	"time"

	"rtsptunnel/internal/gateway/media"
)

// timeline gives access units their epoch and their times, and drops those that a decoder
// cannot use. It is used by one goroutine.
//
// The main track sets the pace. An epoch begins with one of its key frames: the first one,
// the first with other parameter sets, and the first after its clock jumped. Wrap-around of
// RTP timestamps is no jump. Another track whose clock jumps is placed anew in the same epoch.
type timeline struct {
	deliver func(*media.Unit)
	// ntp returns the camera's own time of an RTP timestamp of track i, by its RTCP sender
	// reports (RFC 3550, 6.4.1); false before the first one.
	ntp func(i int, timestamp uint32) (time.Time, bool)

	described *media.Epoch
	epoch     *media.Epoch // nil before the first key frame
	main      int
	lanes     []*lane
	zero      uint32 // RTP timestamp of PTS 0 of the main track
	wall      media.WallClock
	begun     time.Time
	renew     bool // the clock jumped: the next key frame begins an epoch
	bare      bool // a key frame came without parameter sets, and there are none

	dropped atomic.Uint64
}

// settling is how long an epoch waits for the camera's sender reports. Until then, other
// tracks are placed by their arrival.
const settling = time.Second

// newTimeline returns the timeline of these tracks.
func newTimeline(tracks []*track, deliver func(*media.Unit)) *timeline {
	l := &timeline{deliver: deliver, described: &media.Epoch{Begin: time.Now()}}
	l.ntp = func(int, uint32) (time.Time, bool) { return time.Time{}, false }
	for _, t := range tracks {
		l.described.Tracks = append(l.described.Tracks, t.description)
		n := &lane{track: t.description, sets: t.description.Parameters()}
		n.renew()
		l.lanes = append(l.lanes, n)
	}
	l.main = l.described.MainTrack()
	return l
}

// add takes the next access unit of track i, which arrived at now. It reports whether the
// track is readable.
func (l *timeline) add(i int, a accessUnit, now time.Time) (readable bool) {
	n := l.lanes[i]
	if a.broken {
		n.waiting = n.ordered()
		return false
	}
	jumped := n.advance(a.timestamp, now)
	u := &media.Unit{Track: i, Payload: a.payload, Packets: a.packets, Key: true}
	ok := false
	if i == l.main {
		ok = l.picture(n, u, jumped, now)
		readable = !l.bare
	} else {
		ok = l.other(n, u, jumped, now)
		readable = true
	}
	if !ok {
		l.dropped.Add(1)
		return readable
	}
	l.send(n, u, now)
	return readable
}

// picture takes a unit of the main track. It reports whether to deliver it.
func (l *timeline) picture(n *lane, u *media.Unit, jumped bool, now time.Time) bool {
	if jumped {
		l.renew = true
		n.waiting = n.ordered()
	}
	ok, changed := n.decodable(u)
	if !ok {
		l.bare = l.bare || u.Key
		return false
	}
	switch {
	case u.Key && (l.epoch == nil || changed || l.renew || n.back(n.top)):
		l.begin(n, now)
	case n.back(n.key):
		l.renew = true
		n.waiting = true
		return false
	}
	l.wall.Update(duration(n.pts(), n.track.ClockRate), now)
	return true
}

// begin begins an epoch with a unit of the main track.
func (l *timeline) begin(n *lane, now time.Time) {
	l.renew, l.bare, l.begun = false, false, now
	l.wall = media.WallClock{}
	l.epoch = &media.Epoch{Begin: now}
	for _, o := range l.lanes {
		o.renew()
		l.epoch.Tracks = append(l.epoch.Tracks, o.track)
	}
	n.zero, n.mapped, n.settled = n.ticks, true, true
	n.waiting, n.entry = false, true
	l.zero = n.last
}

// other takes a unit of a track that is not the main one. It reports whether to deliver it.
func (l *timeline) other(n *lane, u *media.Unit, jumped bool, now time.Time) bool {
	if l.epoch == nil {
		return false
	}
	ok, changed := n.decodable(u)
	if changed { // the next epoch has them
		l.renew, n.waiting = true, true
		return false
	}
	if !ok {
		return false
	}
	if jumped || n.mapped && n.back(n.top) {
		n.mapped, n.settled, n.floor = false, true, n.top
	}
	l.place(u.Track, n, now)
	return n.pts() > n.floor
}

// place finds the track's ticks of PTS 0: by the camera's sender reports if there are any,
// else by the arrival of its units.
func (l *timeline) place(i int, n *lane, now time.Time) {
	if n.mapped && n.settled {
		return
	}
	if !n.mapped {
		n.first, n.least = n.ticks, now
	}
	if at := now.Add(-duration(n.ticks-n.first, n.track.ClockRate)); at.Before(n.least) {
		n.least = at
	}
	zero := n.first - ticks(n.least.Sub(l.wall.Zero()), n.track.ClockRate)
	reported, ok := l.reported(i, n, zero)
	late := now.Sub(l.begun) >= settling
	switch {
	case ok:
		zero = reported
	case n.mapped && !late:
		return
	}
	if n.mapped {
		n.floor = n.top // nothing is delivered twice
	}
	n.zero, n.mapped, n.settled = zero, true, n.settled || ok || late
}

// believable is how far sender reports and arrivals may differ. Some cameras' tracks report
// different clocks.
const believable = 5 * time.Second

// reported returns the ticks of PTS 0 by the sender reports of the track and the main track.
// The camera's time of day does not matter: only differences count.
func (l *timeline) reported(i int, n *lane, arrival int64) (int64, bool) {
	main, ok := l.ntp(l.main, l.zero)
	if !ok {
		return 0, false
	}
	here, ok := l.ntp(i, n.last)
	if !ok {
		return 0, false
	}
	zero := n.ticks - ticks(here.Sub(main), n.track.ClockRate)
	if d := duration(zero-arrival, n.track.ClockRate); d > believable || d < -believable {
		return 0, false
	}
	return zero, true
}

// send gives the unit its times, and delivers it.
func (l *timeline) send(n *lane, u *media.Unit, now time.Time) {
	u.Epoch = l.epoch
	u.PTS = n.pts()
	u.DTS = n.dts.Next(u.Payload, u.PTS)
	n.top = max(n.top, u.PTS)
	if u.Key {
		n.key = u.PTS
	}
	wall := l.wall.Zero().Add(duration(u.PTS, n.track.ClockRate))
	if wall.After(now) {
		wall = now
	}
	if wall.After(n.wall) {
		n.wall = wall
	}
	u.Wall = n.wall
	l.deliver(u)
}

package mse

import (
	"net"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// The kept pictures that a browser decodes at once. A phone decodes some 100 pictures of
// 1920x1080 a second at least, which is 6 s of a camera's time within 1.5 s.
const (
	keptAge   = 6 * time.Second
	keptBytes = 8 << 20
)

// begin sends an init segment and the units that the stream keeps, in one message: the viewer
// goes to their end in one step. If they are too many, it sends the key frame alone, and goes on
// at the next one: the viewer sees an old picture meanwhile, and needs not decode all others.
func (s *session) begin(u *media.Unit) error {
	for u != nil { // until the newest epoch that is kept
		init, err := s.announce(u.Epoch)
		if err != nil {
			return err
		}
		units, next, err := s.kept(u)
		if err != nil {
			return err
		}
		if err := s.join(init, units); err != nil {
			return err
		}
		u = next
	}
	return nil
}

// kept returns u and the kept units behind it that are of the same epoch and that the viewer
// gets. next is the first unit of another epoch; nil if there is none.
func (s *session) kept(u *media.Unit) (units []*media.Unit, next *media.Unit, err error) {
	size := 0
	for u != nil && u.Epoch == s.epoch {
		if u.Track == s.tracks[0] || u.Track == s.tracks[1] {
			units, size = append(units, u), size+bytes(u)
			if size > keptBytes || old(units[0], u) {
				s.reader.Restart(stream.Want{Start: stream.NextKey})
				return units[:1], nil, nil
			}
		}
		if u, err = s.reader.Poll(); err != nil {
			return nil, nil, err
		}
	}
	return units, u, nil
}

func bytes(u *media.Unit) int {
	n := 0
	for _, p := range u.Payload {
		n += len(p)
	}
	return n
}

// old reports whether one unit is that much before another one of its track.
func old(from, to *media.Unit) bool {
	rate := int64(to.Epoch.Tracks[to.Track].ClockRate)
	return from.Track == to.Track && to.DTS-from.DTS > int64(keptAge.Seconds())*rate
}

// join sends units in one message, behind an init segment.
func (s *session) join(init []byte, units []*media.Unit) error {
	parts := make(net.Buffers, 2, 2+len(units))
	parts[1] = init
	size := len(init)
	for _, u := range units {
		fragment := fmp4.AppendFragment(nil, u)
		parts, size = append(parts, fragment), size+len(fragment)
		s.note(u)
	}
	parts[0] = header(websocket.BinaryMessage, size)
	if err := s.out.gather(parts); err != nil {
		return err
	}
	s.count(len(parts[0]) + size)
	s.viewer.FirstUnit(time.Since(s.began))
	return nil
}

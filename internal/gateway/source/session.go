package source

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// teardownTime bounds how long Close waits for a camera that takes no bytes.
const teardownTime = 2 * time.Second

// Session is one RTSP session that plays. Its methods are safe for concurrent use.
type Session struct {
	options Options
	conn    *cameraConn
	client  *gortsplib.Client
	started bool
	tracks  []*track
	line    *timeline
	deliver func(*media.Unit)
	watch   *watchdog

	packets, lost, broken atomic.Uint64

	done  chan struct{} // closed when the client has ended
	ended *failure.Failure

	mu     sync.Mutex
	reason *failure.Failure // decided by this package; the first one wins
}

func newSession(o Options, conn net.Conn, deliver func(*media.Unit)) *Session {
	s := &Session{options: o, conn: &cameraConn{Conn: conn}, deliver: deliver, done: make(chan struct{})}
	s.watch = newWatchdog(o.Silence, s.shut)
	tcp := gortsplib.ProtocolTCP
	dialed := false
	s.client = &gortsplib.Client{
		Scheme:       "rtsp",
		Protocol:     &tcp,
		ReadTimeout:  o.Answer,
		WriteTimeout: o.Answer,
		UserAgent:    "tunnelgateway",
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if dialed {
				return nil, errRedirect
			}
			dialed = true
			return s.conn, nil
		},
		OnResponse:        s.tame,
		OnTransportSwitch: func(error) {},
		OnPacketsLost:     func(uint64) {}, // the tracks see gaps themselves
		OnDecodeError:     func(error) { s.watch.unreadable() },
	}
	return s
}

var errRedirect = errors.New("the camera redirects to another address, which the gateway does not follow")

// open runs the dialogue until the camera plays.
func (s *Session) open(u *base.URL) error {
	s.client.Host = u.Host
	if err := s.client.Start(); err != nil {
		return err
	}
	s.started = true
	defer func() { go s.wait() }() // Close waits for it, also after an error

	desc, _, err := s.client.Describe(u)
	if err != nil {
		return err
	}
	offered, err := describe(desc)
	if err != nil {
		return err
	}
	s.tracks = offered
	for i, t := range s.tracks {
		if _, err := s.client.Setup(desc.BaseURL, t.media, 0, 0); err != nil {
			return err
		}
		s.client.OnPacketRTP(t.media, t.format, func(p *rtp.Packet) { s.packet(i, p) })
	}
	s.line = newTimeline(s.tracks, s.deliver)
	s.line.ntp = s.ntp
	s.watch.start()
	_, err = s.client.Play(nil)
	return err
}

// packet takes one RTP packet. The library's reading goroutine calls it.
func (s *Session) packet(i int, p *rtp.Packet) {
	var err error
	defer func() {
		if err != nil {
			err = s.clean(err)
			s.options.Log.Error().Err(err).Msg("an rtp packet cannot be read")
			s.decide(failure.New(failure.Media, reason.MediaInvalid, err))
			s.conn.end() // shut would wait for this goroutine
		}
	}()
	defer guard(&err)
	now := time.Now()
	s.packets.Add(1)
	s.tracks[i].depacketizer.add(p, func(a accessUnit) { s.unit(i, a, now) })
}

// unit takes one access unit of track i.
func (s *Session) unit(i int, a accessUnit, now time.Time) {
	if a.broken {
		s.broken.Add(1)
		s.lost.Add(uint64(a.lost))
	}
	readable := s.line.add(i, a, now)
	switch {
	case i != s.line.main:
	case readable:
		s.watch.read(now)
	default:
		s.watch.unreadable()
	}
}

// Counts are what a session has received since it began.
type Counts struct {
	Packets uint64 // RTP packets
	Lost    uint64 // RTP packets that did not come, by their sequence numbers
	Broken  uint64 // access units that were not whole or could not be read
	Dropped uint64 // whole access units that no decoder could use: those before a key frame
}

// Counts returns the current counts.
func (s *Session) Counts() Counts {
	return Counts{Packets: s.packets.Load(), Lost: s.lost.Load(), Broken: s.broken.Load(), Dropped: s.line.dropped.Load()}
}

// ntp returns the camera's time of an RTP timestamp of track i.
func (s *Session) ntp(i int, timestamp uint32) (time.Time, bool) {
	t := s.tracks[i]
	return s.client.PacketNTP(t.media, &rtp.Packet{Header: rtp.Header{PayloadType: t.format.PayloadType(), Timestamp: timestamp}})
}

// wait ends the session after the client has ended.
func (s *Session) wait() {
	err := s.client.Wait()
	s.watch.stop()
	s.conn.end()
	s.ended = s.failed(err)
	if s.line != nil { // it played
		c := s.Counts()
		s.options.Log.Debug().Str("reason", string(s.ended.Reason)).Uint64("packets", c.Packets).Uint64("lost", c.Lost).
			Uint64("broken", c.Broken).Uint64("dropped", c.Dropped).Msg("rtsp session ended")
	}
	close(s.done)
}

// Epoch returns the tracks as the camera described them. The first unit has an epoch of its
// own, with the parameter sets that its key frame has.
func (s *Session) Epoch() *media.Epoch { return s.line.described }

// Wait returns after the session has ended, with the *failure.Failure that ended it: of hop
// rtsp or media, CAM_CLOSED if the camera ended the connection in order, TUNNEL_LOST or
// CAM_LOST if it broke, or what the connection's Read returned, if that is a failure.
func (s *Session) Wait() error {
	<-s.done
	return s.ended
}

// Close sends TEARDOWN, closes the connection, and returns after all goroutines have ended.
// deliver is not called afterwards. Wait returns STREAM_CLOSED, unless the session has ended
// before.
func (s *Session) Close() {
	if !s.started {
		s.conn.end()
		return
	}
	s.shut(&failure.Failure{Hop: failure.Gateway, Reason: reason.StreamClosed, Message: "the gateway closed the session"})
	<-s.done
}

// shut ends the session with f, unless it ends already.
func (s *Session) shut(f *failure.Failure) {
	s.decide(f)
	stop := time.AfterFunc(teardownTime, func() { s.conn.end() })
	defer stop.Stop()
	s.client.Close()
}

func (s *Session) decide(f *failure.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = f
	}
}

func (s *Session) cause() *failure.Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

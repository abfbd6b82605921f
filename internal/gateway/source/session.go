package source

import (
	"context"
	"errors"
	"net"
	"sync"
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
	epoch   *media.Epoch
	watch   *watchdog

	done  chan struct{} // closed when the client has ended
	ended *failure.Failure

	mu     sync.Mutex
	reason *failure.Failure // decided by this package; the first one wins
}

func newSession(o Options, conn net.Conn, deliver func(*media.Unit)) *Session {
	s := &Session{options: o, conn: &cameraConn{Conn: conn}, done: make(chan struct{})}
	s.watch = newWatchdog(o.Silence, s.shut)
	s.line = newTimeline(deliver)
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
	go s.wait()

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
	s.line.describe(s.tracks)
	s.epoch = s.line.described
	s.watch.start()
	_, err = s.client.Play(nil)
	return err
}

// packet takes one RTP packet. The library's reading goroutine calls it.
func (s *Session) packet(i int, p *rtp.Packet) {
	now := time.Now()
	t := s.tracks[i]
	t.depacketizer.add(p, func(a accessUnit) {
		if i == s.line.main {
			s.note(a, now)
		}
		s.line.add(i, a, now)
	})
}

// note tells the watchdog what came.
func (s *Session) note(a accessUnit, now time.Time) {
	if a.broken {
		s.watch.unreadable()
		return
	}
	s.watch.read(now)
}

// wait ends the session after the client has ended.
func (s *Session) wait() {
	err := s.client.Wait()
	s.watch.stop()
	s.conn.Close()
	s.ended = s.failed(err)
	close(s.done)
}

// Epoch returns the tracks as the camera described them. The first unit has an epoch of its
// own, with the parameter sets that its key frame has.
func (s *Session) Epoch() *media.Epoch { return s.epoch }

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
		s.conn.Close()
		return
	}
	s.shut(&failure.Failure{Hop: failure.Gateway, Reason: reason.StreamClosed, Message: "the gateway closed the session"})
	<-s.done
}

// shut ends the session with f, unless it ends already.
func (s *Session) shut(f *failure.Failure) {
	s.decide(f)
	stop := time.AfterFunc(teardownTime, func() { s.conn.Close() })
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

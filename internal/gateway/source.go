package gateway

import (
	"context"
	"net"
	"sync"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/gateway/stream"
)

// openFunc returns how a stream opens its session: it waits for its turn, looks the camera
// up as it is now, connects by a tunnel or directly, and plays.
func (s *streams) openFunc(e *entry, full string) stream.OpenFunc {
	return func(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
		progress(failure.Gateway)
		release, err := s.openings.acquire(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
		camera, streamName, err := s.lookup(full)
		if err != nil {
			return nil, err
		}
		address, location := camera.Source(streamName)
		session, err := source.Open(ctx, source.Options{
			Dial: s.dialer(camera, address, progress), Direct: address != "", URL: location,
			Username: camera.Credentials.Username, Password: camera.Credentials.Password,
			Log: s.log.With().Str("stream", full).Logger(),
		}, deliver)
		if err != nil {
			return nil, err
		}
		return e.source.keep(session), nil
	}
}

// dialer returns how the camera is reached: at an address, or by a tunnel if that is empty.
// It reports the hops.
func (s *streams) dialer(camera fleet.Camera, address string, progress func(failure.Hop)) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var conn net.Conn
		var err error
		if address != "" {
			progress(failure.Camera)
			conn, err = dialDirect(ctx, address)
		} else {
			progress(failure.Hub)
			conn, err = s.tunnel(ctx, camera)
		}
		if err != nil {
			return nil, err
		}
		progress(failure.RTSP)
		return conn, nil
	}
}

// sourceSlot holds the session of a stream, so that a change of the camera can end it.
type sourceSlot struct {
	mu      sync.Mutex
	session *session
}

// session is a source's session that the gateway can end with a reason of its own.
type session struct {
	*source.Session
	mu    sync.Mutex
	cause *failure.Failure
}

var _ stream.Session = (*session)(nil)

func (s *sourceSlot) keep(opened *source.Session) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session = &session{Session: opened}
	return s.session
}

// end ends the session with cause. It returns false if there is none.
func (s *sourceSlot) end(cause *failure.Failure) bool {
	s.mu.Lock()
	session := s.session
	s.session = nil
	s.mu.Unlock()
	if session == nil {
		return false
	}
	session.mu.Lock()
	session.cause = cause
	session.mu.Unlock()
	session.Close()
	return true
}

// Wait returns why the session ended.
func (s *session) Wait() error {
	err := s.Session.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return s.cause
	}
	return err
}

package gateway

import (
	"context"
	"errors"
	"net"
	"sync"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/gateway/stream"
)

// openFunc returns how a stream opens its session: it waits for its turn, looks the camera
// up as it is now, connects by a tunnel or directly, and plays. If the camera changes
// meanwhile, it begins again with the camera as it is then.
func (s *streams) openFunc(e *entry, full string) stream.OpenFunc {
	return func(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
		progress(failure.Gateway)
		release, err := s.openings.acquire(ctx, e.stream.State().Failure != nil)
		if err != nil {
			return nil, err
		}
		defer release()
		for {
			opened, err := s.openOnce(ctx, e, full, deliver, progress)
			if err == nil {
				return opened, nil
			}
			if failure.Of(err).Reason != reason.CameraChanged || ctx.Err() != nil {
				return nil, err
			}
		}
	}
}

// openOnce opens the camera as it is at the call. If it changes before the session is open,
// the failure is CAM_CHANGED.
func (s *streams) openOnce(ctx context.Context, e *entry, full string, deliver func(*media.Unit), progress func(failure.Hop)) (*session, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.source.begin(cancel) // before the camera is looked up, so that no change is missed
	camera, streamName, err := s.lookup(full)
	if err != nil {
		return nil, err
	}
	address, location := camera.Source(streamName)
	opened, err := source.Open(ctx, source.Options{
		Dial: s.dialer(camera, address, progress), Direct: address != "", URL: location,
		Username: camera.Credentials.Username, Password: camera.Credentials.Password,
		Log: s.log.With().Str("stream", full).Logger(),
	}, deliver)
	if err != nil {
		return nil, err
	}
	return e.source.keep(ctx, opened), nil
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

// sourceSlot holds the session of a stream, or its opening, so that a change of the camera
// can end it.
type sourceSlot struct {
	mu      sync.Mutex
	opening context.CancelCauseFunc // nil unless a session is being opened
	session *session
}

// session is a source's session that the gateway can end with a reason of its own.
type session struct {
	*source.Session
	mu    sync.Mutex
	cause *failure.Failure
}

var _ stream.Session = (*session)(nil)

// begin replaces the session with an opening, which cancel ends.
func (s *sourceSlot) begin(cancel context.CancelCauseFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening, s.session = cancel, nil
}

// keep replaces the opening, whose context is ctx, with its session. If the opening was
// ended, so is the session.
func (s *sourceSlot) keep(ctx context.Context, opened *source.Session) *session {
	kept := &session{Session: opened}
	s.mu.Lock()
	s.opening = nil
	ended, isEnded := errors.AsType[*failure.Failure](context.Cause(ctx))
	if !isEnded {
		s.session = kept
	}
	s.mu.Unlock()
	if isEnded {
		kept.end(ended)
	}
	return kept
}

// end ends the session, or its opening, with cause.
func (s *sourceSlot) end(cause *failure.Failure) {
	s.mu.Lock()
	opening, open := s.opening, s.session
	s.session = nil
	s.mu.Unlock()
	if opening != nil {
		opening(cause)
	}
	if open != nil {
		open.end(cause)
	}
}

func (s *session) end(cause *failure.Failure) {
	s.mu.Lock()
	s.cause = cause
	s.mu.Unlock()
	s.Close()
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

// Package tunnel is the life of a tunnel: it is opened for a request, lives in a
// [Set] while its relay runs, and is closed with it.
//
// The way of one request ("Implement the direct method tunnelOpen"), in this order:
//   - tunnels are not switched off, and the module does not shut down (503);
//   - the local port names a camera (400);
//   - the policy allows the remote endpoint (403);
//   - a slot is free, the camera's and the set's, and is taken (429);
//   - the camera is dialled, then the remote endpoint, each with its own limit and
//     both with one together;
//   - Open returns, so that the caller can answer at once;
//   - the relay goes on until one of the two ends, or until End or Shutdown; then the
//     slot is free again.
//
// Nothing is retried: the service does that. A line belongs here when it concerns
// when a tunnel begins, counts or ends. The package does not know IoT Hub, MQTT,
// WebSocket, RTSP nor the environment; it sees two dial functions.
package tunnel

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/wire/relay"
)

// Options are what a Set is made of. Camera and Allow are asked with the Set locked,
// so that nothing changes between their answers and the slot: they must be quick and
// must not call the Set.
type Options struct {
	// Camera finds the camera with a local port. Required.
	Camera func(localPort int) (camera.Camera, bool)
	// DialCamera dials a camera that Camera has found. Errors have a reason code. The
	// camera's own Dial if nil.
	DialCamera func(ctx context.Context, c camera.Camera) (net.Conn, error)
	// Allow is the policy for remote endpoints: it returns the URL to dial for this one,
	// or an error that refuses it. If nil, all are allowed and dialled as they are.
	Allow func(r tunnelopen.Request) (*url.URL, error)
	// Remote dials a request's URL, which is what Allow returned, with its token. Errors have a reason code;
	// one whose chain offers HTTPStatus() (status int, phrase string) is the remote
	// end's own answer and is passed on. A connection that has a method Reset() error
	// is reset by it when it cannot be closed in time. Required.
	Remote func(ctx context.Context, r tunnelopen.Request) (net.Conn, error)

	Limits Limits // the first ones; DefaultLimits if zero

	Log zerolog.Logger
}

// Open opens a tunnel for r and returns when it is open; the tunnel outlives the
// call and ctx, which bounds the dialling alone. The error is the contract's, ready
// for tunnelopen.Response. One line is logged for the outcome, and one when the
// tunnel ends.
func (s *Set) Open(ctx context.Context, r tunnelopen.Request) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	t, remoteURL, err := s.admit(r, end)
	if err != nil {
		end(nil)
		return s.refused(s.asked(r.LocalPort, r.URL).Logger(), err)
	}
	r.URL = remoteURL
	opened := false
	defer func() {
		if !opened { // also after a panic in a dial
			s.leave(t)
			s.tunnels.Done()
		}
	}()
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	camera, remote, err := s.dial(life, t, r)
	log := s.logger(t)
	if stop(); err != nil {
		return s.refused(log, err)
	}
	opened = true
	s.opened(t, remote)
	log.Info().Dur("durMs", time.Since(t.info.Since)).Msg("tunnel opened")
	go func() {
		defer s.tunnels.Done()
		result := relay.RunCounted(life, camera, remote, &t.bytes, t.pace)
		s.closed(t, result)
	}()
	return nil
}

// closed gives a tunnel's slot back and logs its end. What it needs for that takes no
// room on the stack while the tunnel lives.
func (s *Set) closed(t *slot, result relay.Result) {
	logEnd(s.logger(t), result, s.leave(t), time.Since(t.opened))
}

// asked is the log's fields of a request: of its endpoint neither path nor query, which
// may hold secrets.
func (s *Set) asked(localPort int, endpoint *url.URL) zerolog.Context {
	return s.o.Log.With().Int("localPort", localPort).Str("remote", endpoint.Host)
}

// logger is a tunnel's. It is made where it is needed: it has half a KiB, which an idle
// tunnel would hold.
func (s *Set) logger(t *slot) zerolog.Logger {
	return s.asked(t.info.LocalPort, t.info.URL).Str("tunnel", t.info.ID).Str("camera", t.info.Camera).Logger()
}

// refused counts and logs why a request was not fulfilled, once, and returns the
// error.
func (s *Set) refused(log zerolog.Logger, err error) error {
	s.fail()
	e, _ := errors.AsType[*tunnelopen.Error](err)
	event := log.Warn().Err(err)
	if e != nil {
		event = event.Str("reason", string(e.Reason)).Int("code", e.Status)
	}
	event.Msg("tunnel not opened")
	return err
}

// dial dials the camera, then the remote end, and hangs up on the first at once if
// the second fails: cameras have few sessions. If the tunnel was ended meanwhile, the
// error says why.
func (s *Set) dial(life context.Context, t *slot, r tunnelopen.Request) (camera, remote net.Conn, err error) {
	camera, remote, err = s.dialBoth(life, t, r)
	ended := interrupted(context.Cause(life), t, r)
	if ended == nil {
		return camera, remote, err
	}
	if err == nil {
		relay.Run(life, camera, remote) // closes both, and says why
	}
	return nil, nil, ended
}

func (s *Set) dialBoth(ctx context.Context, t *slot, r tunnelopen.Request) (camera, remote net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.limits.OpenTimeout)
	defer cancel()
	camera, err = within(ctx, t.limits.CameraTimeout, func(ctx context.Context) (net.Conn, error) { return s.o.DialCamera(ctx, t.camera) })
	if err != nil {
		return nil, nil, tunnelopen.CameraUnreachable(t.camera.Target(), err)
	}
	defer func(camera net.Conn) {
		if remote == nil { // also after a panic
			_ = camera.Close()
		}
	}(camera)
	remote, err = within(ctx, t.limits.RemoteTimeout, func(ctx context.Context) (net.Conn, error) { return s.o.Remote(ctx, r) })
	if err != nil {
		return nil, nil, remoteError(r, err)
	}
	return camera, remote, nil
}

func within(ctx context.Context, limit time.Duration, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return dial(ctx)
}

// remoteError tells an answer of the remote end from no answer, and both from an
// address that may not be dialled.
func remoteError(r tunnelopen.Request, err error) error {
	if answer, ok := errors.AsType[HTTPAnswer](err); ok {
		status, phrase := answer.HTTPStatus()
		return tunnelopen.RemoteAnswered(r, status, phrase, err)
	}
	if reason.Of(err) == reason.PolicyRemote {
		return tunnelopen.RemoteForbidden(r.RemoteEndpoint, err)
	}
	return tunnelopen.RemoteUnreachable(r.RemoteEndpoint, err)
}

// logEnd writes the closing record. reset: the remote end was not told, since it took
// no bytes.
func logEnd(log zerolog.Logger, r relay.Result, reset bool, lasted time.Duration) {
	closedBy, why := "module", reason.Of(r.Err)
	switch {
	case r.First == relay.A:
		closedBy = "camera"
	case r.First == relay.B:
		closedBy = "remote"
	case why == reason.PolicyRemote:
		closedBy = "policy"
	}
	if r.Err == nil && r.First == relay.A {
		why = reason.CameraClosed
	} else if r.Err == nil && r.First == relay.B {
		why = reason.RemoteClosed
	}
	if reset {
		log = log.With().Bool("reset", true).Logger()
	}
	log.Info().Str("closedBy", closedBy).Str("reason", string(why)).AnErr("cause", r.Err).
		Int64("bytesUp", r.AtoB).Int64("bytesDown", r.BtoA).Dur("durMs", lasted).Msg("tunnel closed")
}

// Package tunnel opens tunnels for requests, keeps the live ones in a [Set], and ends
// them.
//
// [Set.Open] handles one request ("Implement the direct method tunnelOpen"):
//   - admit refuses it, with the Set locked, in this order: the module shuts down or
//     tunnels are disabled (503); no camera has the local port (400); the policy does
//     not allow the remote endpoint (403); the camera's or the Set's slots are all taken
//     (429). Otherwise it takes a slot. Nothing is dialed before that.
//   - dial dials the camera, and then the remote endpoint. Each has its own timeout, and
//     both share one. If the second dial fails, the camera's connection is closed.
//   - Open starts the relay in a goroutine and returns, so that the caller can respond.
//   - The relay ends when one of its ends does, when [Set.End], [Set.Limit] or
//     [Set.Shutdown] ends the tunnel, or when the tunnel expires. closed gives the slot
//     back and logs why.
//
// A tunnel that is ended during its dials fails with the error that a new request would
// get. Nothing is retried: that is the service's task.
//
// A line belongs here when it concerns when a tunnel begins, counts or ends. The package
// does not know IoT Hub, MQTT, WebSocket, RTSP, or the environment: it has a camera and
// two dial functions.
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
	"rtsptunnel/internal/module/logline"
	"rtsptunnel/internal/wire/relay"
)

// Options configure a Set. The Set calls Camera and Allow while it is locked, so that
// nothing changes before the slot is taken. They must be quick and must not call the Set.
type Options struct {
	// Camera returns the camera with a local port, if there is one. Required.
	Camera func(localPort int) (camera.Camera, bool)
	// DialCamera dials a camera that Camera has returned. Errors have a reason code. If
	// nil, the camera's own Dial.
	DialCamera func(ctx context.Context, c camera.Camera) (net.Conn, error)
	// Allow judges the remote endpoint of a request: it returns the URL to dial, or an
	// error that refuses the request. If nil, every endpoint is allowed, and dialed
	// unchanged.
	Allow func(r tunnelopen.Request) (*url.URL, error)
	// Remote dials r.URL, which Allow has returned, with the request's token. Errors have a
	// reason code. An error with the method HTTPStatus() (status int, phrase string) in
	// its chain is the remote end's response, which Open passes on. A connection that
	// cannot be closed in time is reset, if it has the method Reset() error. Required.
	Remote func(ctx context.Context, r tunnelopen.Request) (net.Conn, error)

	Limits Limits // until Limit changes them; if zero, DefaultLimits

	Log      zerolog.Logger
	Refusals *logline.Refusals // of failed requests; if nil, the Set has its own, with Log
}

// Open opens a tunnel for r and returns when it is open. ctx bounds the dials only: the
// tunnel outlives ctx and the call. r.URL is set, as by tunnelopen.Decode. The error is
// a *tunnelopen.Error, for tunnelopen.Response. Open logs one line for the outcome; the
// end of the tunnel is another line.
func (s *Set) Open(ctx context.Context, r tunnelopen.Request) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	t, remoteURL, err := s.admit(r, end)
	if err != nil {
		end(nil)
		return s.refused(s.logFields(r.LocalPort, r.URL).Logger(), err)
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
	// From here on nothing refers to r: a tunnel must not keep its token in memory.
	log.Info().Dur("durMs", time.Since(t.info.Since)).Msg("tunnel opened")
	go func() {
		defer s.tunnels.Done()
		result := relay.RunCounted(life, camera, remote, &t.bytes, t.pace)
		s.closed(t, result)
	}()
	return nil
}

// closed gives a tunnel's slot back and logs the end. It is a function of its own, so
// that its variables take no stack while the relay runs.
func (s *Set) closed(t *slot, result relay.Result) {
	logEnd(s.logger(t), result, s.leave(t), time.Since(t.opened))
}

// logFields returns a logger with the fields of a request. It omits the endpoint's path
// and query, which may hold secrets, and cuts its host, which the caller chooses.
func (s *Set) logFields(localPort int, endpoint *url.URL) zerolog.Context {
	return s.o.Log.With().Int("localPort", localPort).Str("remote", logline.Cut(endpoint.Host))
}

// logger returns a logger for a tunnel. Callers do not keep it, since an idle tunnel
// would hold its half KiB.
func (s *Set) logger(t *slot) zerolog.Logger {
	return s.logFields(t.info.LocalPort, t.info.URL).Str("tunnel", t.info.ID).Str("camera", t.info.Camera).Logger()
}

// refused counts and logs a failed request, and returns the error.
func (s *Set) refused(log zerolog.Logger, err error) error {
	s.fail()
	s.o.Refusals.Write(log, "tunnel not opened", err)
	return err
}

// dial dials the camera, and then the remote end. If the second dial fails, it closes the
// camera's connection at once, since cameras have few sessions. If the tunnel was ended
// during the dials, the error says why.
func (s *Set) dial(life context.Context, t *slot, r tunnelopen.Request) (camera, remote net.Conn, err error) {
	camera, remote, err = s.dialBoth(life, t, r)
	ended := endedError(context.Cause(life), t, r)
	if ended == nil {
		return camera, remote, err
	}
	if err == nil {
		relay.Run(life, camera, remote) // closes both, with the cause
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

// remoteError returns the contract's error for a failed dial of the remote end: it
// responded, its address is not allowed, or it is not reachable.
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

// logEnd writes the closing record. reset tells that the remote end took no bytes, so
// that it was reset and did not get the reason.
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

// Package tunnel is the life of a tunnel: it is opened for a request, lives in a
// [Set] while its relay runs, and is closed with it.
//
// The way of one request ("Implement the direct method tunnelOpen"):
//   - the local port names a camera, or the request ends here;
//   - the camera is dialled, then the remote endpoint, each with its own limit and
//     both with one together;
//   - Open returns, so that the caller can answer at once;
//   - the relay goes on until one of the two ends, or until Shutdown.
//
// Nothing is retried: the service does that. A line belongs here when it concerns
// when a tunnel begins, counts or ends. The package does not know IoT Hub, MQTT,
// WebSocket, RTSP nor the environment; it sees two dial functions.
package tunnel

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/reason"
	"rtsptunnel/internal/relay"
	"rtsptunnel/internal/tunnelopen"
)

// Camera is one camera to a tunnel.
type Camera struct {
	Name   string                                      // for logs
	Target string                                      // as the contract names it in an error
	Dial   func(ctx context.Context) (net.Conn, error) // errors have a reason code
}

// Options are what a Set is made of.
type Options struct {
	// Camera finds the camera with a local port. Required.
	Camera func(localPort int) (Camera, bool)
	// Remote dials a request's endpoint with its token. Errors have a reason code;
	// one whose chain offers HTTPStatus() (status int, phrase string) is the remote
	// end's own answer and is passed on. Required.
	Remote func(ctx context.Context, r tunnelopen.Request) (net.Conn, error)

	CameraTimeout time.Duration // 5 s if zero
	RemoteTimeout time.Duration // 10 s if zero
	OpenTimeout   time.Duration // for both together; 20 s if zero

	Log zerolog.Logger
}

func (o Options) withDefaults() Options {
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&o.CameraTimeout, 5*time.Second)
	fill(&o.RemoteTimeout, 10*time.Second)
	fill(&o.OpenTimeout, 20*time.Second)
	return o
}

// Set is the live tunnels. Its methods may be called by several goroutines.
type Set struct {
	o Options

	mu      sync.Mutex
	closing bool
	ends    map[string]context.CancelCauseFunc // by tunnel id, from the first dial on
	tunnels sync.WaitGroup                     // one for each entry of ends
}

// New returns an empty set. Shutdown ends it.
func New(o Options) *Set {
	return &Set{o: o.withDefaults(), ends: make(map[string]context.CancelCauseFunc)}
}

// Open opens a tunnel for r and returns when it is open; the tunnel outlives the
// call and ctx, which bounds the dialling alone. The error is the contract's, ready
// for tunnelopen.Response. One line is logged for the outcome, and one when the
// tunnel ends.
func (s *Set) Open(ctx context.Context, r tunnelopen.Request) error {
	begin := time.Now()
	id := rand.Text()[:8]
	log := s.o.Log.With().Str("tunnel", id).Int("localPort", r.LocalPort).Str("remote", host(r.RemoteEndpoint)).Logger()

	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	if !s.enter(id, end) {
		end(nil)
		return refused(log, tunnelopen.ShuttingDown())
	}
	opened := false
	defer func() {
		if !opened { // also after a panic in a dial
			s.leave(id)
		}
	}()
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	name, camera, remote, err := s.dial(life, r)
	if stop(); err != nil {
		if reason.Of(context.Cause(life)) == reason.ShuttingDown {
			err = tunnelopen.ShuttingDown()
		}
		return refused(log, err)
	}
	opened = true
	log = log.With().Str("camera", name).Logger()
	log.Info().Dur("durMs", time.Since(begin)).Msg("tunnel opened")
	go func() {
		defer s.leave(id)
		opened := time.Now()
		logEnd(log, relay.Run(life, camera, remote), time.Since(opened))
	}()
	return nil
}

// refused logs why a request was not fulfilled, once, and returns the error.
func refused(log zerolog.Logger, err error) error {
	e, _ := errors.AsType[*tunnelopen.Error](err)
	event := log.Warn().Err(err)
	if e != nil {
		event = event.Str("reason", string(e.Reason)).Int("code", e.Status)
	}
	event.Msg("tunnel not opened")
	return err
}

// dial dials the camera, then the remote end, and hangs up on the first at once if
// the second fails: cameras have few sessions.
func (s *Set) dial(ctx context.Context, r tunnelopen.Request) (name string, camera, remote net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.OpenTimeout)
	defer cancel()
	c, ok := s.o.Camera(r.LocalPort)
	if !ok {
		return "", nil, nil, tunnelopen.PortUnavailable(r.LocalPort)
	}
	camera, err = within(ctx, s.o.CameraTimeout, c.Dial)
	if err != nil {
		return "", nil, nil, tunnelopen.CameraUnreachable(c.Target, err)
	}
	defer func(camera net.Conn) {
		if remote == nil { // also after a panic
			_ = camera.Close()
		}
	}(camera)
	remote, err = within(ctx, s.o.RemoteTimeout, func(ctx context.Context) (net.Conn, error) { return s.o.Remote(ctx, r) })
	if err != nil {
		return "", nil, nil, remoteError(r, err)
	}
	return c.Name, camera, remote, nil
}

func within(ctx context.Context, limit time.Duration, dial func(context.Context) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return dial(ctx)
}

// remoteError tells an answer of the remote end from no answer.
func remoteError(r tunnelopen.Request, err error) error {
	if answer, ok := errors.AsType[interface {
		error
		HTTPStatus() (status int, phrase string)
	}](err); ok {
		status, phrase := answer.HTTPStatus()
		return tunnelopen.RemoteAnswered(r, status, phrase, err)
	}
	return tunnelopen.RemoteUnreachable(r.RemoteEndpoint, err)
}

// logEnd writes the closing record.
func logEnd(log zerolog.Logger, r relay.Result, lasted time.Duration) {
	closedBy, why := "module", reason.Of(r.Err)
	switch r.First {
	case relay.A:
		closedBy = "camera"
	case relay.B:
		closedBy = "remote"
	case relay.Neither:
	}
	if r.Err == nil && r.First == relay.A {
		why = reason.CameraClosed
	} else if r.Err == nil && r.First == relay.B {
		why = reason.RemoteClosed
	}
	log.Info().Str("closedBy", closedBy).Str("reason", string(why)).AnErr("cause", r.Err).
		Int64("bytesUp", r.AtoB).Int64("bytesDown", r.BtoA).Dur("durMs", lasted).Msg("tunnel closed")
}

// host is the part of an endpoint that may be logged: no path and no query, which
// may hold secrets.
func host(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

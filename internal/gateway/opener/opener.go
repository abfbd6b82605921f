// Package opener opens tunnels: it requests a tunnel from a module, accepts the WebSocket
// that the module opens, and returns it as a connection to the camera.
//
// A tunnel opens in these steps:
//   - [Opener.Open] creates a pending tunnel: a random id, which is the last segment of the
//     remote endpoint, and a random token for one use;
//   - it invokes tunnelOpen on the module with the REST API of the camera's hub;
//   - the module dials the endpoint; [Opener.ServeHTTP] checks the token and accepts the
//     WebSocket for the pending tunnel;
//   - the module answers 200, and Open returns the connection.
//
// Every error is a *failure.Failure that names the hop: of an opening, and of a connection
// that ended. Pending tunnels are kept in memory: a module dials the instance that
// requested the tunnel, since the endpoint has the instance's address.
//
// Code belongs here if it opens, accepts or counts tunnels. The package does not know RTSP,
// media or viewers.
package opener

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hubfailure"
	"rtsptunnel/internal/hub/hubclient"
)

// PathPrefix is the path of a remote endpoint between the endpoint's own path and the id.
const PathPrefix = "/tunnel/"

// The hub's timeouts for a direct method: for the module to connect, which covers a
// restart, and to answer. The module's own timeout for opening is 20 s. The hub's answer for
// a module that is silent comes before an opening of 30 s ends, so that it has its reason.
const (
	connectTimeout  = 10 * time.Second
	responseTimeout = 22 * time.Second
)

// silent returns the hop that did not answer when an opening ended after it had waited for
// the hub: the module, or the hub if that is later than the hub's own answer would be.
func silent(waited time.Duration) failure.Hop {
	if waited > responseTimeout {
		return failure.Hub
	}
	return failure.Module
}

// Options configure an Opener.
type Options struct {
	// Endpoint is the wss URL at which modules reach ServeHTTP: PathPrefix and an id are
	// appended. It may have a path. Required.
	Endpoint string
	// MaxTunnels bounds the tunnels that are open or being opened; no bound if zero.
	MaxTunnels int
	Log        zerolog.Logger
}

// Opener opens tunnels. It is safe for concurrent use.
type Opener struct {
	o      Options
	prefix string // of the path at ServeHTTP: Endpoint's path
	log    zerolog.Logger
	noted  rate.Sometimes // bounds the lines about refused requests

	refused            atomic.Uint64 // requests since the last line
	bytesUp, bytesDown atomic.Uint64

	mu      sync.Mutex
	pending map[string]*pendingTunnel   // by id: those that no request has claimed
	opening map[*pendingTunnel]struct{} // calls of Open, and requests whose tunnel none waits for
	open    map[*tunnel]struct{}
	down    *failure.Failure // set by Shutdown
	idle    chan struct{}    // closed when opening and open are empty; nil before Shutdown
}

// New returns an opener without tunnels. The caller calls Shutdown.
func New(o Options) *Opener {
	n := &Opener{
		o: o, log: o.Log, noted: rate.Sometimes{First: refusalsAtOnce, Interval: refusalInterval},
		pending: make(map[string]*pendingTunnel), opening: make(map[*pendingTunnel]struct{}), open: make(map[*tunnel]struct{}),
	}
	n.o.Endpoint = strings.TrimSuffix(o.Endpoint, "/")
	if u, err := url.Parse(n.o.Endpoint); err == nil {
		n.prefix = u.Path
	}
	return n
}

// Target is a camera behind a module.
type Target struct {
	Name      string             // the camera's, for the log
	Hub       *hubclient.Client  // of the module
	Identity  hubclient.Identity // of the module, or of a device
	LocalPort int                // of the camera
}

// Counts returns the tunnels that are being opened and that are open, and all bytes from
// cameras (up) and to them since the start.
func (o *Opener) Counts() (pending, open int, bytesUp, bytesDown uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.opening), len(o.open), o.bytesUp.Load(), o.bytesDown.Load()
}

// Open opens a tunnel to the camera. ctx bounds the opening, not the tunnel: nothing of a
// tunnel that did not open in time remains, whenever the module dials. The error is a
// *failure.Failure. The caller closes the connection; an error of its Read or Write is a
// *failure.Failure as well, unless it is of a deadline or of the caller's own Close. A
// connection that the camera closed in order also matches io.EOF.
func (o *Opener) Open(ctx context.Context, t Target) (net.Conn, error) {
	conn, err := o.openTunnel(ctx, t)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (o *Opener) openTunnel(ctx context.Context, t Target) (*tunnel, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p, err := o.begin(t, cancel)
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := o.invoke(ctx, t, p.request(o.o.Endpoint, t.LocalPort)); err != nil {
		o.abandon(p)
		return nil, err
	}
	conn, err := o.take(ctx, p)
	if err != nil {
		return nil, err
	}
	conn.log.Info().Dur("durMs", time.Since(begun)).Str("remote", conn.RemoteAddr().String()).Msg("tunnel opened")
	return conn, nil
}

// SetMaxTunnels changes Options.MaxTunnels. Tunnels beyond a lower bound stay.
func (o *Opener) SetMaxTunnels(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.MaxTunnels = n
}

// begin takes a slot for a tunnel, and makes it pending. Shutdown calls cancel.
func (o *Opener) begin(t Target, cancel context.CancelCauseFunc) (*pendingTunnel, error) {
	p := newPending(t.Name, cancel)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down != nil {
		return nil, o.down
	}
	if o.o.MaxTunnels > 0 && len(o.opening)+len(o.open) >= o.o.MaxTunnels {
		return nil, failure.New(failure.Gateway, reason.LimitTunnels, nil)
	}
	o.opening[p] = struct{}{}
	o.pending[p.id] = p
	return p, nil
}

// invoke calls tunnelOpen and returns nil if the module reports an open tunnel.
func (o *Opener) invoke(ctx context.Context, t Target, r tunnelopen.Request) error {
	payload, err := tunnelopen.Encode(r)
	if err != nil {
		return failure.New(failure.Gateway, reason.Internal, err)
	}
	begun := time.Now()
	status, answer, err := t.Hub.Invoke(ctx, t.Identity, hubclient.Method{
		Name: tunnelopen.MethodName, Payload: payload, ConnectTimeout: connectTimeout, ResponseTimeout: responseTimeout,
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return ended(ctx, silent(time.Since(begun)))
	case err != nil:
		return hubfailure.Of(err)
	case status != http.StatusOK:
		return refusal(tunnelopen.DecodeFailure(r, status, answer))
	}
	return nil
}

// ended is the failure of an opening whose context ended while it waited for hop.
func ended(ctx context.Context, hop failure.Hop) *failure.Failure {
	cause := context.Cause(ctx)
	if f, ok := errors.AsType[*failure.Failure](cause); ok {
		return f
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return failure.New(hop, reason.OpeningTimeout, cause)
	}
	return failure.New(failure.Viewer, reason.OpeningEnded, cause)
}

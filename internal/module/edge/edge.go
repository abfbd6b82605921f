// Package edge is the connection of a module or a device with its hub: identity,
// MQTT over TLS, on TCP or a WebSocket, direct methods, twin. Inside IoT Edge the
// peer is the edge hub.
//
// One session follows the other for ever ([Client.Run]); each goes
//   - get roots, and a signature or a certificate, as the identity's [Login] has it:
//     from the workload API, from a symmetric key, from files;
//   - dial one of the ways to the hub, verify the server by those roots alone,
//     CONNECT with the model id;
//   - subscribe to direct methods and desired properties, the first time only when
//     there is a twin; read the whole twin, which proves the path, and hand it over;
//   - only then report: who reads the report may call;
//   - read the whole twin again whenever a patch says that it changed, and when there
//     was no reason to for minutes;
//   - before the token expires, make the next connection ready and change to it.
//
// Waits and looks between two sessions are in backoff.go and look.go, how long
// everything takes in times.go, a session from its subscriptions on in serve.go, direct
// methods in methods.go.
//
// The MQTT transport is amenzhinsky/iothub's, but for methods; every workaround for it is in this
// package, each with its reason. The package does not know what a method or a
// property means: it delivers a name and bytes, and takes a status and bytes back.
package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
)

// Identity is a module's or a device's.
type Identity struct {
	HubHost     string // in every token and user name, whoever the peer is
	GatewayHost string // the peer's name if it is not the hub itself; may be empty
	DeviceID    string
	ModuleID    string // empty for a device
	Login       Login
}

// server is the name to dial, which the peer's certificate must hold.
func (id Identity) server() string {
	if id.GatewayHost != "" {
		return id.GatewayHost
	}
	return id.HubHost
}

// Handler is what a module does with what arrives.
type Handler interface {
	// Method answers a direct method: any integer status and a JSON body. It is
	// called in a goroutine of its own for each call; ctx ends with Run. A call that is
	// delivered again on its connection inside a minute gets the same answer, without it.
	Method(ctx context.Context, name string, payload []byte) (status int, body []byte)
	// Twin is given the whole twin after each connect and after each change, one
	// call at a time and at most ten in Options.ReportPace, and returns a merge patch for the
	// reported properties, or nil if those in doc are as they should be. A patch that
	// waits for its time is forgotten for what is returned next: it is made of the twin
	// alone, not of what was returned before.
	Twin(doc []byte, c Connection) (reported []byte)
}

// Connection is what a Handler may tell of the connection that it is called on.
type Connection struct {
	Protocol Protocol // never Auto
}

// Options are what a Client is made of.
type Options struct {
	Identity Identity
	Protocol Protocol // Auto if empty

	// Address and WebSocketAddress are the host:port to dial for MQTT and MQTTWS; the
	// peer's name and port 8883 or 443 if empty. If one alone is given, Auto does not
	// try the other.
	Address, WebSocketAddress string

	// Proxy is the HTTP proxy on the way to a URL, nil for none, and is not asked for
	// a gateway; no proxies if nil.
	Proxy func(*url.URL) (*url.URL, error)

	ModelID string // IoT Plug and Play model to announce
	Product string // DeviceClientType: name and version, for the hub's operators
	Handler Handler
	Log     zerolog.Logger

	Resolver *net.Resolver    // Go's default one if nil
	Now      func() time.Time // the device's clock, for certificates and tokens; time.Now if nil

	// TokenLifetime is that of each token, an hour if zero. The connection is replaced
	// before it is over.
	TokenLifetime time.Duration

	// ReportPace is how long after one report the next one goes out at the earliest, ten seconds
	// if zero. The twin is read at most ten times in it, and a change of the desired
	// properties is reported in it whatever was reported before.
	ReportPace time.Duration
}

// Client keeps one identity connected. Its zero value is of no use; see New.
type Client struct {
	o     Options
	login login

	calls    calls
	refresh  hint      // of Refresh
	loopback sync.Once // told that the gateway is looked for on this machine
	state    state
	requests sync.WaitGroup // of the library, those included that nobody waits for any more
	garbage  logger         // told of what a hub sent and nobody can read

	// Run's own.
	route    route
	way      way // of the session that is, or was last
	failures failures
	t        times
	looks    looks
	up       time.Time // when the last session began to answer methods; zero if it never did
	short    int       // sessions that worked and ended soon, since the last that lasted

	// What one session leaves to the next.
	belief   belief
	handed   bool      // a twin, to the handler
	sentLast time.Time // when reported properties went out last
}

// New returns a client that does nothing until Run. It fails for an identity that
// cannot connect as things are: a key, certificate or root that cannot be had. What
// fails later costs an attempt, and is tried again.
func New(o Options) (*Client, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.ReportPace == 0 {
		o.ReportPace = 10 * time.Second
	}
	l, err := o.Identity.Login.open(o.Identity, tokens{life: o.TokenLifetime, now: o.Now})
	if err != nil {
		return nil, err
	}
	return &Client{
		o: o, login: l, garbage: newLogger(o.Log), route: route{ways: o.ways()}, t: usualTimes(o.ReportPace), refresh: make(hint, 1),
	}, nil
}

// Refresh has Handler.Twin called again soon with the whole twin, though that may not
// have changed: what the handler reports did. Without a connection the next one does it
// anyway. It may be called at any time, by anybody, and as often as one likes: both keep
// the pace of Options.
func (c *Client) Refresh() { c.refresh.Dispatch(nil) }

// Run keeps the identity connected until ctx is done; nothing else ends it. Calls
// that run then are still answered, if they take no longer than two seconds. It
// returns when the connection is closed and every call of Handler has returned.
func (c *Client) Run(ctx context.Context) {
	defer c.requests.Wait()
	defer c.calls.wait()
	var waits backoff
	var next *entrance
	for {
		var err error
		c.state.attempts()
		if next, err = c.session(ctx, next); next != nil {
			c.rested(&waits)
			continue
		}
		c.state.disconnected()
		if ctx.Err() != nil {
			c.o.Log.Info().Msg("hub connection closed")
			return
		}
		wait := c.waitAfter(&waits, err)
		found, err := c.rest(ctx, wait)
		if err != nil {
			return
		}
		if found { // what it does from now on is something new
			waits = backoff{}
		}
	}
}

// waitAfter is how long to wait after a session that ended with err, and logs it.
func (c *Client) waitAfter(waits *backoff, err error) time.Duration {
	most := c.t.LastWait
	if !c.up.IsZero() { // it worked
		c.short++
	}
	// Whoever else has this identity may have thrown us out at any moment.
	if !c.up.IsZero() || reason.Of(err) == reason.HubLost {
		most = c.t.LostWait
	}
	c.rested(waits)
	wait := waits.next(c.t.FirstWait, c.t.LastWait, most)
	if !c.up.IsZero() && c.short >= shortSessions {
		err = fmt.Errorf("%w (sessions keep ending soon after they begin: is there another client with this identity?)", err)
	}
	c.tellFailure(err, wait)
	c.state.waits(time.Now().Add(wait))
	return wait
}

// rested starts the waits anew after a session that worked for long enough.
func (c *Client) rested(waits *backoff) {
	if !c.up.IsZero() && time.Since(c.up) >= c.t.Healthy {
		*waits, c.short = backoff{}, 0
	}
}

// shortSessions is how many sessions that worked and ended soon, with none that
// lasted between them, are remarkable.
const shortSessions = 3

var errOver = reason.New(reason.ShuttingDown, errors.New("the module is shutting down"))

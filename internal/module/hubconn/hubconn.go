// Package hubconn is one connection of a module or a device with its hub: IoT Hub, or
// the edge hub inside IoT Edge. It knows no schedule: when to connect, read, report and
// renew is the caller's decision.
//
// A connection is made in these steps:
//
//  1. [Dialer.Credentials] gets what one CONNECT needs: a SAS token signed by the
//     workload API or a symmetric key, or an X.509 certificate; and the roots that may
//     sign the hub's certificate.
//  2. [Dialer.Dial] opens TCP to the address of a [Route], through the site's proxy if
//     there is one, does the TLS handshake and, for MQTTWS, the WebSocket handshake. The
//     result is a [PreparedConn], which has sent no MQTT yet.
//  3. [PreparedConn.Connect] sends CONNECT and waits for CONNACK. The result is a [Conn].
//  4. [Conn.SubscribeMethods] and [Conn.SubscribeTwin] make direct methods and changes
//     of the desired properties arrive at the functions in [Events].
//
// After that [Conn.ReadTwin] and [Conn.WriteReported] are requests, each bounded by its
// context. A Conn is used for one connection; it never reconnects.
//
// The MQTT transport is amenzhinsky/iothub's, on paho. Direct methods, dialing, TLS,
// tokens and user names are this package's own: each replaces something in the library,
// and the comment beside it says why. The package does not interpret methods or
// properties. It passes a name and bytes, and takes a status and bytes back.
package hubconn

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
)

// Identity is the identity of a module or a device.
type Identity struct {
	HubHost     string // in every token and user name, also behind a gateway
	GatewayHost string // the edge hub's name; empty if the hub is dialed directly
	DeviceID    string
	ModuleID    string // empty for a device
	Auth        Auth
}

// server is the name to dial, which the peer's certificate must have.
func (id Identity) server() string {
	if id.GatewayHost != "" {
		return id.GatewayHost
	}
	return id.HubHost
}

// Options are the settings of a Dialer. Only Identity is required.
type Options struct {
	Identity Identity

	// Proxy returns the HTTP proxy for a URL, nil for none. It is not asked for a
	// gateway, which is inside the site. No proxy is used if Proxy is nil.
	Proxy func(*url.URL) (*url.URL, error)

	ModelID string         // IoT Plug and Play model to announce
	Product string         // DeviceClientType: name and version, for the hub's operators
	Log     zerolog.Logger // gets malformed messages and answers that were lost

	Resolver *net.Resolver    // Go's default resolver if nil
	Now      func() time.Time // the device's clock, for certificates and tokens; time.Now if nil

	TokenLifetime time.Duration // of each token; 1 h if zero

	// LargeTwin returns what reads a twin that is larger than 1 MiB. If nil, the first MiB
	// of such a twin is returned.
	LargeTwin func() LargeTwin

	// RepeatWindow is how long the answer to a direct method is kept, for a call that
	// MQTT delivers again on the same connection; 1 min if zero.
	RepeatWindow time.Duration
}

// Dialer makes connections for one identity. Create it by New.
type Dialer struct {
	o    Options
	auth authenticator
	log  libraryLog // for what the hub sent and what cannot be parsed

	calls    calls
	loopback sync.Once      // the log has the line about dialing this machine
	requests sync.WaitGroup // requests of the library, also those that timed out
}

// New returns a Dialer. It fails if the identity's key, certificate or roots cannot be
// read now. Later failures of the same kind are errors of Credentials. No connection
// is opened.
func New(o Options) (*Dialer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.RepeatWindow == 0 {
		o.RepeatWindow = time.Minute
	}
	a, err := o.Identity.Auth.open(o.Identity, tokens{life: o.TokenLifetime, now: o.Now})
	if err != nil {
		return nil, err
	}
	return &Dialer{o: o, auth: a, log: newLibraryLog(o.Log)}, nil
}

// Credentials returns the credentials for one CONNECT. They are made anew by each call,
// since keys, certificates and roots change while a module runs. The workload API is
// asked over HTTP, with a timeout for each call.
func (d *Dialer) Credentials(ctx context.Context) (Credentials, error) {
	c, err := d.auth.credentials(ctx)
	if shortage.Is(err) {
		return Credentials{}, reason.New(reason.NoResources, err)
	}
	if err != nil {
		return Credentials{}, because(reason.HubCredentials, err)
	}
	return c, nil
}

// Dial opens the connection that carries MQTT: TCP, TLS and for MQTTWS a WebSocket. ctx
// bounds all of it. Every error has a reason code. The caller passes the result to
// Connect or closes it.
func (d *Dialer) Dial(ctx context.Context, r Route, c Credentials) (*PreparedConn, error) {
	conn, err := d.dial(ctx, r, c.tls(r.server, d.o.Now))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", r.Address, c.explain(err, d.o.Now()))
	}
	return &PreparedConn{Credentials: c, dialer: d, route: r, conn: conn}, nil
}

// Probe opens a TCP connection to the route's address, through its proxy if it has one,
// and closes it without sending anything else. Unreachable tells whether the error
// means that the address does not accept connections.
func (d *Dialer) Probe(ctx context.Context, r Route) error {
	conn, err := d.reach(ctx, r, nil)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ProbeWorkload connects to the workload API and sends nothing. It fails if the
// identity does not authenticate by the workload API.
func (d *Dialer) ProbeWorkload(ctx context.Context) error {
	w, ok := d.auth.(*workload)
	if !ok {
		return errNoWorkload
	}
	return w.probe(ctx)
}

// AwaitIdle returns when no direct method runs, when ctx is done, or after limit.
func (d *Dialer) AwaitIdle(ctx context.Context, limit time.Duration) { d.calls.awaitIdle(ctx, limit) }

// Wait ends the use of the Dialer, after its connections are closed. Direct methods
// that arrive from now on are dropped. Wait returns when every running one and every
// request of the library has ended.
func (d *Dialer) Wait() {
	d.calls.wait()
	d.requests.Wait()
}

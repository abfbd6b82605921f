package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	connack "github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/contract/reason"
)

const apiVersion = "2021-04-12"

// configure is the one seam between us and the library: it changes what the
// transport has put into the MQTT client's options, each line for its reason.
func (c *Client) configure(
	ctx context.Context, p *pipe, login pass, lost context.CancelCauseFunc,
) func(*paho.ClientOptions) {
	return func(o *paho.ClientOptions) {
		// The library's roots have expired and its name is fixed to port 8883.
		o.Servers = nil
		o.AddBroker("tls://" + p.way.address)
		// The client's own dialling knows neither a deadline nor a site's proxy for TLS,
		// and for a WebSocket takes Go's proxies even on the way to the edge hub.
		o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return p.open(ctx) })
		// Ordered delivery freezes the client for good once three messages wait while
		// a handler waits for its PUBACK.
		o.SetOrderMatters(false)
		// A reconnect inside would reuse the token and lose subscriptions unseen.
		o.SetAutoReconnect(false)
		// The library's 30 s are also how long a packet waits for a connection that was
		// just lost, whatever its context says.
		o.SetConnectTimeout(c.t.Connect)
		o.SetWriteTimeout(writeTimeout)
		o.SetConnectionNotificationHandler(p.notify)
		// A hub that is gone without a word is noticed after the two together.
		o.SetKeepAlive(30 * time.Second)
		o.SetPingTimeout(10 * time.Second)
		// The library sends no model id for modules, an API version that knows none, and
		// for devices a token of the whole hub. A token that cannot be had it replaces by
		// an anonymous CONNECT.
		o.SetCredentialsProvider(func() (string, string) { return c.userName(), login.password })
		p.lost = func(err error) { lost(because(reason.HubLost, fmt.Errorf("connection lost: %w", err))) }
		// The client forgets the handler of a topic as soon as it asks to unsubscribe; the
		// calls that are on their way then come here.
		o.SetDefaultPublishHandler(p.late)
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { p.lost(err) })
	}
}

// userName is IoT Hub's form ("Communicate with an IoT hub using the MQTT protocol"),
// always with the hub's own name. Values are path-escaped: the edge hub unescapes
// %20, not +.
func (c *Client) userName() string {
	id := c.o.Identity
	name := id.HubHost + "/" + id.DeviceID
	if id.ModuleID != "" {
		name += "/" + id.ModuleID
	}
	name += "/?api-version=" + apiVersion
	if c.o.Product != "" {
		name += "&DeviceClientType=" + escape(c.o.Product)
	}
	if c.o.ModelID != "" {
		name += "&model-id=" + escape(c.o.ModelID)
	}
	return name
}

// escape is url.PathEscape and also escapes what stands for itself in a path but
// not in this list of pairs.
func escape(s string) string {
	return strings.NewReplacer("&", "%26", "=", "%3D", "+", "%2B", ":", "%3A").Replace(url.PathEscape(s))
}

// pipe is the way to the hub for one CONNECT. Opened by the library, it is under
// ctx until keep.
type pipe struct {
	way        way
	tls        *tls.Config
	resolver   *net.Resolver // Go's default one if nil
	atLoopback func()        // told when the gateway is looked for on this machine
	lost       func(error)   // told when the connection ends

	ready net.Conn            // opened already, if not nil
	late  paho.MessageHandler // of what arrives without a subscription

	// Set while the library connects, and read when it has.
	client paho.Client
	err    error       // why open failed
	stop   func() bool // takes the connection out of ctx's hands
}

// notify takes the client when it begins to connect: the library does not give it
// out. Other notifications come from other goroutines, at any time.
func (p *pipe) notify(client paho.Client, n paho.ConnectionNotification) {
	if _, ok := n.(paho.ConnectionNotificationConnecting); ok {
		p.client = client
	}
}

func (p *pipe) open(ctx context.Context) (net.Conn, error) {
	conn, err := p.connection(ctx)
	if err != nil {
		p.err = err
		return nil, err
	}
	return &guard{Conn: conn, lost: p.lost}, nil
}

// why prefers the reason for which open failed to the library's words for it.
func (p *pipe) why(ctx context.Context, err error) error {
	if p.err != nil {
		return p.err
	}
	if ctx.Err() != nil {
		return noConnack(ctx)
	}
	return because(refusal(err), err)
}

func noConnack(ctx context.Context) error {
	return reason.New(reason.HubTimeout, fmt.Errorf("no CONNACK: %w", ctx.Err()))
}

// refusal is the reason for a CONNECT that was not accepted (MQTT 3.1.1, 3.2.2.3).
func refusal(err error) reason.Code {
	switch {
	case errors.Is(err, connack.ErrorRefusedBadUsernameOrPassword), errors.Is(err, connack.ErrorRefusedNotAuthorised):
		return reason.HubLogin
	case errors.Is(err, connack.ErrorRefusedServerUnavailable):
		return reason.HubUnavailable
	case errors.Is(err, connack.ErrorRefusedBadProtocolVersion), errors.Is(err, connack.ErrorRefusedIDRejected):
		return reason.HubProtocol
	}
	if alert(err) {
		return reason.HubLogin
	}
	return reason.HubLost
}

// keep makes the connection outlive ctx; it fails if ctx was faster.
func (p *pipe) keep(ctx context.Context) error {
	if p.stop != nil && !p.stop() {
		return noConnack(ctx)
	}
	return nil
}

package hubconn

import (
	"context"
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

// configure is the only place where the library's settings are changed. It replaces what
// the transport has put into the MQTT client's options; each line has its reason.
func (d *Dialer) configure(p *PreparedConn, c *Conn, lost func(error)) func(*paho.ClientOptions) {
	report := func(err error) { lost(because(reason.HubLost, fmt.Errorf("connection lost: %w", err))) }
	return func(o *paho.ClientOptions) {
		// The library's roots have expired and its broker has port 8883 fixed.
		o.Servers = nil
		o.AddBroker("tls://" + p.route.Address)
		// The client's own dialing obeys no deadline and no site's proxy for TLS, and for
		// a WebSocket uses Go's proxies also for the edge hub.
		o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			stream := packets{largeTwin: d.o.LargeTwin, received: c.received}
			return &guard{Conn: p.conn, lost: report, stream: stream}, nil
		})
		// Unordered delivery starts a goroutine for each message, as many as the hub sends.
		// With ordered delivery no handler may wait for a packet: the client reads none then.
		o.SetOrderMatters(true)
		// The client's own reconnect would reuse the token and lose subscriptions unseen.
		o.SetAutoReconnect(false)
		// The library's 30 s are also how long a packet waits on a connection that was
		// just lost, whatever its context says.
		o.SetWriteTimeout(writeTimeout)
		o.SetConnectionNotificationHandler(c.notify)
		// A hub that is gone without closing is detected after the sum of both.
		o.SetKeepAlive(30 * time.Second)
		o.SetPingTimeout(10 * time.Second)
		// The library sends no model id for modules, an API version that does not know
		// model ids, and for devices a token for the whole hub. If it cannot get a token it
		// sends an anonymous CONNECT.
		o.SetCredentialsProvider(func() (string, string) { return d.userName(), p.Credentials.password })
		// The client forgets the handler of a topic as soon as it sends UNSUBSCRIBE. Calls
		// that arrive after that come here.
		o.SetDefaultPublishHandler(c.answer)
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { report(err) })
	}
}

// userName is IoT Hub's form ("Communicate with an IoT hub using the MQTT protocol"),
// always with the hub's own name. Values are path-escaped: the edge hub unescapes
// %20, not +.
func (d *Dialer) userName() string {
	id := d.o.Identity
	name := id.HubHost + "/" + id.DeviceID
	if id.ModuleID != "" {
		name += "/" + id.ModuleID
	}
	name += "/?api-version=" + apiVersion
	if d.o.Product != "" {
		name += "&DeviceClientType=" + escape(d.o.Product)
	}
	if d.o.ModelID != "" {
		name += "&model-id=" + escape(d.o.ModelID)
	}
	return name
}

// escape is url.PathEscape and also escapes the characters that a path may contain but
// that separate the pairs of this list.
func escape(s string) string {
	return strings.NewReplacer("&", "%26", "=", "%3D", "+", "%2B", ":", "%3A").Replace(url.PathEscape(s))
}

// connectError gives a failed CONNECT its reason code.
func connectError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return noConnack(ctx)
	}
	return because(refusal(err), err)
}

func noConnack(ctx context.Context) error {
	return reason.New(reason.HubTimeout, fmt.Errorf("no CONNACK: %w", ctx.Err()))
}

// refusal is the reason code of a CONNECT that was not accepted (MQTT 3.1.1, 3.2.2.3).
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

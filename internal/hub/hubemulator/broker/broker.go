// Package broker is the device side of the hub: MQTT 3.1.1 in the dialect of IoT Hub and
// of IoT Edge's edge hub, on top of mochi-mqtt.
//
// It never routes a message from one client to another, because all clients use the same
// $iothub topics. The package answers the requests of clients. The service side reaches a
// client by Broker.Invoke and by desired patches in the store. Topics, user names and
// status codes follow Microsoft, "Communicate with an IoT hub using the MQTT protocol".
//
// Devices and modules authenticate by token or by X.509 certificate, as the registry
// requires. x509.go has the rules for certificates and their sources. Revocation is not
// checked, as in IoT Hub.
//
// A session consists of the subscriptions of a client. Microsoft's device SDKs connect
// with clean=0, subscribe once, and expect the subscriptions after every reconnect. The
// store keeps sessions, also across restarts. The broker confirms nothing to a client
// (session present, SUBACK, the answer to a reported patch) before it is kept.
//
// Faults (package faults) refuse logins and subscriptions, cut connections, delay, hold
// or fail twin requests, and drop method calls. Rate limits (package throttle) are off by
// default. A twin request above them is answered with 429; a connection is closed.
//
// Not emulated:
//   - messages for a disconnected client: it does not get them when it reconnects;
//   - cloud-to-device messages, and routes to module inputs: a client may subscribe to
//     them, but gets none;
//   - wills, which are dropped, and routes for telemetry, which is only stored.
package broker

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

const (
	// maxPacket is the largest packet accepted from a client, in bytes (Azure/iotedge,
	// edgehub-api.md: 256 KB).
	maxPacket = 256 * 1024
	// defaultLoginTimeout limits the time for the TLS handshake and CONNECT
	// (Azure/iotedge, appsettings_hub.json: ConnectArrivalTimeout).
	defaultLoginTimeout = time.Minute
	// maxKeepAlive is the longest keep-alive, in seconds. A client is cut after 1767 s of
	// silence, 1.5 times this, even if it asks for more (Microsoft, "Communicate with an
	// IoT hub using the MQTT protocol", section "Default keep-alive timeout").
	maxKeepAlive = 1178
	// maxQoS is granted to a subscription with a higher QoS. A publish with a higher QoS
	// cuts the connection, as in IoT Hub.
	maxQoS = 1
	// protocolVersion is the only supported version, MQTT 3.1.1.
	protocolVersion = 4
)

// ErrClosed is returned by Serve and Invoke after Close.
var ErrClosed = errors.New("broker is closed")

// Options are what a Broker needs.
type Options struct {
	// Store holds the identities that may connect. The broker registers as the observer
	// of its desired patches. Required.
	Store *store.Store
	// HostName is the hub's name. User names must begin with it, and tokens for it are
	// valid. Required.
	HostName string
	// GatewayName is a second host name for which tokens are valid. Optional.
	GatewayName string
	// ClientCAs are the authorities that sign the certificates of identities of type
	// certificateAuthority; none if nil.
	ClientCAs *x509.CertPool
	// Telemetry gets the messages that clients send to the cloud. Optional.
	Telemetry *telemetry.Log
	// Faults are the faults to inject; none if nil.
	Faults *faults.Set
	// Throttle limits the rates of connections and twin requests; no limits if nil.
	Throttle *throttle.Limits
	// Log gets logins, refused logins with the reason, and lost connections. It never
	// gets a token or a payload.
	Log zerolog.Logger
}

// Broker serves MQTT clients. All methods are safe for concurrent use.
type Broker struct {
	store        *store.Store
	hostName     string
	gatewayName  string
	clientCAs    *x509.CertPool
	telemetry    *telemetry.Log
	log          zerolog.Logger
	faults       *faults.Set
	throttle     *throttle.Limits
	loginTimeout time.Duration

	server *mqtt.Server
	calls  *calls
	done   chan struct{} // closed by Close
	wg     sync.WaitGroup

	// mu is never held during a write to a client.
	mu       sync.Mutex
	closed   bool
	serving  map[net.Listener]struct{}
	conns    map[net.Conn]*session // the session is nil before a successful login
	sessions map[store.ID]*session
	changed  chan struct{} // closed and replaced when a client connects, disconnects or subscribes
}

// New returns a broker without a listener; see Serve. The caller must call Close, even if
// it never calls Serve.
func New(o Options) (*Broker, error) {
	if o.Faults == nil {
		o.Faults = faults.New()
	}
	b := &Broker{
		store:        o.Store,
		hostName:     o.HostName,
		gatewayName:  o.GatewayName,
		clientCAs:    cmp.Or(o.ClientCAs, x509.NewCertPool()), // nil would mean the roots of the machine
		telemetry:    cmp.Or(o.Telemetry, &telemetry.Log{}),
		log:          o.Log,
		faults:       o.Faults,
		throttle:     o.Throttle,
		loginTimeout: defaultLoginTimeout,
		calls:        newCalls(),
		done:         make(chan struct{}),
		serving:      make(map[net.Listener]struct{}),
		conns:        make(map[net.Conn]*session),
		sessions:     make(map[store.ID]*session),
		changed:      make(chan struct{}),
	}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities: capabilities(),
		// Its warnings print whole packets, whose payloads may contain secrets.
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := b.server.AddHook(&hook{broker: b}, nil); err != nil {
		return nil, fmt.Errorf("add hook to mochi-mqtt: %w", err)
	}
	o.Store.OnDesired(b.deliverDesired)
	return b, nil
}

func capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumQos = maxQoS
	c.MaximumPacketSize = maxPacket
	c.MinimumProtocolVersion = protocolVersion
	c.RetainAvailable = 0
	c.SharedSubAvailable = 0
	// Sessions have their own queue, so the queue of mochi-mqtt can be small.
	c.MaximumClientWritesPending = 1
	return c
}

// Drop cuts the connection of id without an MQTT DISCONNECT, like a broken network. It
// does nothing if id is not connected. The client may reconnect at once if its
// credentials are still valid. Call Drop after an identity is deleted or disabled.
func (b *Broker) Drop(id store.ID) {
	if s := b.session(id); s != nil {
		s.kill()
	}
}

// Close cuts all connections, ends pending calls with ErrClosed, and returns when every
// goroutine of the broker has ended. It always returns nil. A second call does nothing.
func (b *Broker) Close() error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	for ln := range b.serving {
		ln.Close()
	}
	for conn := range b.conns {
		abort(conn)
	}
	b.mu.Unlock()
	b.wg.Wait()
	return nil
}

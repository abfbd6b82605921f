// Package broker is the device side of the hub: MQTT 3.1.1 as IoT Hub and
// IoT Edge's edge hub speak it, on top of mochi-mqtt.
//
// It is a broker by name only. All clients use the same $iothub topics, so
// nothing is ever routed from one client to another: requests are answered by
// the package, and the service side reaches a client by Broker.Invoke and by
// desired patches put into the store. Topics, user names and status codes
// follow Microsoft, "Communicate with an IoT hub using the MQTT protocol".
//
// Devices and modules log in by token or by X.509 certificate, whichever the
// registry has for them; x509.go says what a certificate has to be, and from
// where that is known. Revocation is not looked at, as at IoT Hub.
//
// A session is what a client is subscribed to, no more: Microsoft's device SDKs
// connect with clean=0, subscribe once, and rely on it after every reconnect.
// The store keeps it, over restarts too. What a client is told (session
// present, SUBACK, the answer to a reported patch) is kept first.
//
// On demand of a test (package faults) logins and subscriptions are refused,
// connections cut, answers to twin requests delayed, held or made errors, and
// method calls lost. Limits on rates (package throttle) are off unless asked
// for: a twin request above them is answered with 429, a connection closed.
//
// Not emulated (yet):
//   - messages for a client that is away: it is sent nothing when it is back;
//   - cloud to device messages, and routes to module inputs: a client may
//     subscribe to them, but nothing comes;
//   - wills (dropped), routes for telemetry: it is kept for inspection, no more.
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
	// maxPacket is the size of the largest packet taken from a client, in
	// bytes (Azure/iotedge, edgehub-api.md: 256 KB).
	maxPacket = 256 * 1024
	// connectWithin is how long a client may take for the TLS handshake and
	// CONNECT (Azure/iotedge, appsettings_hub.json: ConnectArrivalTimeout).
	connectWithin = time.Minute
	// maxKeepAlive is the longest keep-alive, in seconds: whatever a client
	// asks for, it is cut after 1767 s of silence, 1.5 times this (Microsoft,
	// "Communicate with an IoT hub using the MQTT protocol", section "Default
	// keep-alive timeout").
	maxKeepAlive = 1178
	// maxQoS is granted to who subscribes at a higher one; who publishes at a
	// higher one is cut off, as by IoT Hub.
	maxQoS = 1
	// protocolVersion is the only one spoken: MQTT 3.1.1.
	protocolVersion = 4
)

// ErrClosed is returned by Serve and Invoke after Close.
var ErrClosed = errors.New("broker is closed")

// Options are what a Broker needs.
type Options struct {
	// Store holds the identities that may connect. The broker registers as
	// the observer of its desired patches. Required.
	Store *store.Store
	// HostName is the hub's name; user names must begin with it and tokens
	// may be made for it. Required.
	HostName string
	// GatewayName is a second name tokens may be made for; may be empty.
	GatewayName string
	// ClientCAs are the authorities whose certificates identities of type
	// certificateAuthority may log in with; none if nil.
	ClientCAs *x509.CertPool
	// Telemetry gets what clients send to the cloud. May be nil.
	Telemetry *telemetry.Log
	// Faults are what shall go wrong; nothing if nil.
	Faults *faults.Set
	// Throttle limits how often clients may connect and ask for their twins;
	// nil is no limits.
	Throttle *throttle.Limits
	// Log gets logins, refused logins with the reason, and lost connections.
	// Never a token or a payload.
	Log zerolog.Logger
}

// Broker serves MQTT clients. All methods are safe for concurrent use.
type Broker struct {
	store       *store.Store
	hostName    string
	gatewayName string
	clientCAs   *x509.CertPool
	telemetry   *telemetry.Log
	log         zerolog.Logger
	faults      *faults.Set
	throttle    *throttle.Limits
	loginWithin time.Duration

	server *mqtt.Server
	calls  *calls
	done   chan struct{} // closed by Close
	wg     sync.WaitGroup

	// Never held while writing to a client.
	mu       sync.Mutex
	closed   bool
	serving  map[net.Listener]struct{}
	conns    map[net.Conn]*session // nil session until the login succeeded
	sessions map[store.ID]*session
	changed  chan struct{} // closed and replaced when a client comes, goes or subscribes
}

// New returns a broker that serves nobody yet; see Serve. Close it even if
// Serve was never called.
func New(o Options) (*Broker, error) {
	if o.Faults == nil {
		o.Faults = faults.New()
	}
	b := &Broker{
		store:       o.Store,
		hostName:    o.HostName,
		gatewayName: o.GatewayName,
		clientCAs:   cmp.Or(o.ClientCAs, x509.NewCertPool()), // nil would be the machine's own
		telemetry:   cmp.Or(o.Telemetry, &telemetry.Log{}),
		log:         o.Log,
		faults:      o.Faults,
		throttle:    o.Throttle,
		loginWithin: connectWithin,
		calls:       newCalls(),
		done:        make(chan struct{}),
		serving:     make(map[net.Listener]struct{}),
		conns:       make(map[net.Conn]*session),
		sessions:    make(map[store.ID]*session),
		changed:     make(chan struct{}),
	}
	b.server = mqtt.New(&mqtt.Options{
		Capabilities: capabilities(),
		// Its warnings print whole packets, and payloads hold secrets.
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
	// mochi-mqtt's own queue is not used, see session; do not pay for it.
	c.MaximumClientWritesPending = 1
	return c
}

// Drop cuts the connection of id as a broken network would: without an MQTT
// DISCONNECT. It does nothing if id is not connected. The client may come
// back at once, if its login still holds. To be called after an identity was
// deleted or disabled.
func (b *Broker) Drop(id store.ID) {
	if s := b.session(id); s != nil {
		s.kill()
	}
}

// Close cuts all connections, ends pending calls with ErrClosed, and returns
// when every goroutine of the broker has ended. It always returns nil; a
// second call does nothing.
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

// Package hubemulator is a stand-in for Azure on one machine: an IoT Hub, the
// edge hub of an IoT Edge device, and that device's workload API, in one
// process and over real sockets. Tokens are really verified. It knows nothing
// of what the modules that connect to it do.
//
// Microsoft's SDKs for Node, of services and of devices, cannot tell it from IoT
// Hub in what test/sdk asks of it.
//
// The parts are packages of their own: store (identities and twins), statefile
// (the file they are kept in), broker (devices, over MQTT), mqttws (the way to
// it by WebSocket), rest (services, over HTTPS), workload (modules that ask for
// a trust bundle and signatures, over a unix socket and HTTP), sas (tokens),
// deployment (what deployments make of a device together), rollout (which of them
// are in force where), telemetry (what devices sent, for inspection), faults (what shall go wrong, on
// demand of a test), throttle (limits on rates), control (how a test drives all
// this over HTTP, under /emulator/).
//
// What works: logins of devices and modules by token, until it expires, and by
// X.509 certificate, over MQTT 3.1.1 by TLS or by WebSocket on the HTTPS port;
// sessions that outlive their connections; the registry, with keys,
// thumbprints, etags and connection state; twins with tags, desired and
// reported properties, $version and $metadata, in IoT Hub's limits; queries;
// direct methods with connect and response timeouts; deployments to one IoT Edge
// device, and automatic ones, layered too, to many; all this over REST with IoT
// Hub's error bodies; statistics; trust bundle and signing. Off unless
// asked for: faults, and IoT Hub's limits on rates.
//
// The one authority for logins by CA-signed certificates is the hub's own, in
// ca.pem and ca-key.pem, where IoT Hub has registered ones. It signs devices'
// certificates and no intermediate authorities.
//
// State outlives the process, however it ends: what was answered was in
// state.json before (package statefile), and a hub that is started in the same
// directory takes it up. One hub at a time has a directory.
//
// Not emulated (yet):
//   - changes of many devices in one request;
//   - a difference between hub and edge hub: one listener is both;
//   - AMQP, cloud to device messages, module inputs and routes, jobs, file
//     upload, the provisioning service.
package hubemulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/statefile"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

const (
	defaultHostName   = "localhost"
	defaultEdgeDevice = "edge1"
	defaultAddress    = "127.0.0.1:0"

	policyName = "iothubowner"
	httpsPort  = "443"
)

// Options say how a Hub is to be. Only Dir is required.
type Options struct {
	// HostName is the hub's name in tokens, in user names and in its
	// certificate; "localhost" if empty.
	HostName string
	// GatewayName is the edge device's name: one more in the certificate, and
	// one more tokens of devices and modules may be made for. May be empty.
	GatewayName string
	// EdgeDevice is the IoT Edge device whose modules the workload API
	// serves; "edge1" if empty.
	EdgeDevice string
	// HTTPS and MQTT are the addresses to listen on; "127.0.0.1:0" if empty.
	// HTTPS is for the REST API and for MQTT over WebSocket.
	HTTPS, MQTT string
	// WorkloadHTTP is an address at which the workload API listens over plain
	// HTTP besides its unix socket, as old IoT Edge runtimes and the simulator
	// for developers have it. Whoever reaches it can sign with the keys of the
	// edge device's modules. Nowhere if empty.
	WorkloadHTTP string
	// Throttle limits the rates of operations as IoT Hub does at tier S1 with
	// one unit. Without it there are no limits.
	Throttle bool
	// Dir holds ca.pem, ca-key.pem, owner-key, state.json and lock (0600 each
	// but ca.pem), and workload.sock. It is made, with mode 0700, if missing,
	// and taken up again if there. Required.
	Dir string
	// OwnerKeyFile holds the owner key, base64; if empty, a key is made at the
	// first start and kept in Dir.
	OwnerKeyFile string
	// Log gets what happens. Never a key, a token or a payload.
	Log zerolog.Logger
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return Options{}, errors.New("no directory given for the hub's files")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Options{}, err
	}
	o.Dir = dir
	o.HostName = orDefault(o.HostName, defaultHostName)
	o.EdgeDevice = orDefault(o.EdgeDevice, defaultEdgeDevice)
	o.HTTPS = orDefault(o.HTTPS, defaultAddress)
	o.MQTT = orDefault(o.MQTT, defaultAddress)
	return o, nil
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// Hub is a running emulator. All methods are safe for concurrent use.
type Hub struct {
	options   Options
	ca        *localca.CA
	ownerKey  string
	store     *store.Store
	lock      *os.File // of Dir; see lockDirectory
	state     *statefile.File
	faults    *faults.Set
	telemetry telemetry.Log
	throttle  *throttle.Limits // nil if not wanted

	broker    *broker.Broker
	rollout   *rollout.Rollout
	listeners listeners
	rest      *httpd.Server
	workload  *httpd.Server
	// workloadHTTP is nil if not wanted.
	workloadHTTP *httpd.Server
	served       chan struct{} // closed when the broker has stopped accepting

	closing sync.Once
	closed  error // what the first Close returned
}

// Start starts a hub and returns once all its listeners accept. On error
// nothing is left running. The caller closes the hub.
func Start(o Options) (*Hub, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Hub{options: o, faults: faults.New(), served: make(chan struct{})}
	if o.Throttle {
		h.throttle = throttle.New(throttle.S1())
	}
	if err := h.openFiles(); err != nil {
		return nil, err
	}
	if err := h.open(); err != nil {
		return nil, errors.Join(err, h.lock.Close())
	}
	h.serve()
	return h, nil
}

// open makes what serve needs.
func (h *Hub) open() (err error) {
	o := h.options
	if h.broker, err = broker.New(broker.Options{
		Store:       h.store,
		HostName:    o.HostName,
		GatewayName: o.GatewayName,
		ClientCAs:   h.ca.Pool(),
		Telemetry:   &h.telemetry,
		Faults:      h.faults,
		Throttle:    h.throttle,
		Log:         component(o.Log, "broker"),
	}); err != nil {
		return err
	}
	if h.listeners, err = listen(context.Background(), o, h.ca); err != nil {
		return errors.Join(err, h.broker.Close())
	}
	if err = h.keepState(); err == nil {
		err = h.rollOut()
	}
	if err != nil {
		h.listeners.close()
		return errors.Join(err, h.broker.Close())
	}
	return nil
}

// Close cuts all connections, ends pending calls, writes the state one last time,
// and returns when every goroutine has ended. It removes workload.sock and leaves
// the other files. Called again, it waits for the first call and returns the same.
func (h *Hub) Close() error {
	h.closing.Do(func() { h.closed = h.close() })
	return h.closed
}

func (h *Hub) close() error {
	// The broker first: calls from the service side wait for it.
	err := h.broker.Close()
	<-h.served
	err = errors.Join(err, h.rest.Close(), h.workload.Close())
	if h.workloadHTTP != nil {
		err = errors.Join(err, h.workloadHTTP.Close())
	}
	// The state and the lock last: until here there may be changes.
	return errors.Join(err, h.state.Close(), h.lock.Close())
}

// AddModule makes the module, and its device, if missing, and returns the
// module's generation id once that is kept. Options.EdgeDevice is made an IoT Edge
// device. Errors: store.ErrInvalidID, wrapped,
// for a name IoT Hub would refuse; that the state cannot be kept.
func (h *Hub) AddModule(device, module string) (generationID string, err error) {
	if device == h.options.EdgeDevice {
		_, err := h.store.Create(store.ID{Device: device}, store.Settings{IoTEdge: true})
		if err != nil && !errors.Is(err, store.ErrDeviceExists) {
			return "", err
		}
	}
	identity, err := h.store.Ensure(store.ID{Device: device, Module: module})
	if err != nil {
		return "", err
	}
	if err := h.store.Keep(identity.Revision); err != nil {
		return "", fmt.Errorf("keep module: %w", err)
	}
	return identity.GenerationID, nil
}

// Drop cuts the MQTT connection of a module, or of a device if module is
// empty, as a broken network would. It does nothing if there is none. The
// client may come back at once.
func (h *Hub) Drop(device, module string) {
	h.broker.Drop(store.ID{Device: device, Module: module})
}

// Faults is what shall go wrong; nothing at first. Changes are in force at
// once.
func (h *Hub) Faults() *faults.Set {
	return h.faults
}

// Telemetry is what devices and modules have sent to the cloud; nothing of it
// outlives the process.
func (h *Hub) Telemetry() *telemetry.Log {
	return &h.telemetry
}

// HTTPSAddr is where the service side listens, and the device side for
// WebSockets, as host:port.
func (h *Hub) HTTPSAddr() string {
	return h.listeners.https.Addr().String()
}

// MQTTAddr is where the device side listens, as host:port.
func (h *Hub) MQTTAddr() string {
	return h.listeners.mqtt.Addr().String()
}

// OwnerConnectionString is what a service connects with. It holds the owner
// key, which is a secret. The port is part of HostName unless it is 443.
func (h *Hub) OwnerConnectionString() string {
	// The certificate is for localhost too, whatever the hub is called.
	host := defaultHostName
	if _, port, err := net.SplitHostPort(h.HTTPSAddr()); err == nil && port != httpsPort {
		host = net.JoinHostPort(host, port)
	}
	return "HostName=" + host + ";SharedAccessKeyName=" + policyName + ";SharedAccessKey=" + h.ownerKey
}

// CA is the authority that issued the hub's certificate.
func (h *Hub) CA() *localca.CA {
	return h.ca
}

// CAFile is the file with the authority's certificate, absolute.
func (h *Hub) CAFile() string {
	return filepath.Join(h.options.Dir, caFile)
}

// WorkloadURI is where the workload API listens: "unix://" and the absolute
// path of the socket.
func (h *Hub) WorkloadURI() string {
	return "unix://" + filepath.Join(h.options.Dir, socketFile)
}

// WorkloadHTTPURI is where the workload API listens over HTTP, such as
// "http://127.0.0.1:15580", or empty if it does not. amenzhinsky/iothub wants
// a '/' after it.
func (h *Hub) WorkloadHTTPURI() string {
	if h.listeners.workloadHTTP == nil {
		return ""
	}
	return "http://" + h.listeners.workloadHTTP.Addr().String()
}

func component(log zerolog.Logger, name string) zerolog.Logger {
	return log.With().Str("component", name).Logger()
}

// Package hubemulator emulates Azure IoT on one machine: an IoT Hub, the edge hub
// of an IoT Edge device, and that device's workload API, in one process and over
// real sockets. It verifies all tokens and certificates. It is not specific to
// any module.
//
// The tests in test/sdk run Microsoft's service and device SDKs for Node against
// it without changes.
//
// The parts are packages below this one:
//   - store: identities, twins and configurations
//   - statefile: the file that stores them
//   - broker: devices and modules over MQTT
//   - mqttws: MQTT over WebSocket on the HTTPS port
//   - rest: services over HTTPS
//   - query: IoT Hub's query language
//   - workload: trust bundle and signatures for modules, over a unix socket and HTTP
//   - sas: tokens
//   - deployment: merging the deployments of a device
//   - rollout: applying configurations to devices
//   - telemetry: the messages of devices and modules
//   - faults: faults that a test injects
//   - throttle: rate limits
//   - control: faults, connections and telemetry for tests, over HTTP below /emulator/
//
// It supports:
//   - MQTT 3.1.1 over TLS, and over WebSocket on the HTTPS port;
//   - logins of devices and modules with a token, until it expires, or with an
//     X.509 certificate;
//   - MQTT sessions that persist across connections;
//   - the registry with keys, thumbprints, etags and connection states;
//   - twins with tags, desired and reported properties, $version and $metadata,
//     within IoT Hub's limits;
//   - queries, statistics, and direct methods with connect and response timeouts;
//   - deployments to one IoT Edge device, and automatic and layered deployments;
//   - IoT Hub's error bodies in all REST responses;
//   - trust bundle and signing;
//   - faults, and IoT Hub's rate limits. Both are off by default.
//
// For logins with CA-signed certificates there is one authority: the hub's own, in
// ca.pem and ca-key.pem. It signs the certificates of devices directly. Other
// authorities cannot be registered, as they can with IoT Hub.
//
// The state survives a crash: everything that a response depends on is in
// state.json before the response (package statefile). A hub that starts in the
// same directory continues with that state. Only one hub at a time uses a
// directory.
//
// Not emulated (yet):
//   - changes of several devices in one request;
//   - differences between hub and edge hub: one listener is both;
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

// Options configures a Hub. Only Dir is required.
type Options struct {
	// HostName is the hub's name in tokens, user names and the certificate. The
	// default is "localhost".
	HostName string
	// GatewayName is the edge device's host name. It is also in the certificate,
	// and valid in tokens of devices and modules. It may be empty.
	GatewayName string
	// EdgeDevice is the IoT Edge device whose modules the workload API serves.
	// The default is "edge1".
	EdgeDevice string
	// HTTPS and MQTT are the addresses to listen on. HTTPS is for the REST API
	// and for MQTT over WebSocket. The default of both is "127.0.0.1:0".
	HTTPS, MQTT string
	// WorkloadHTTP is an address where the workload API also listens over plain
	// HTTP, as in old IoT Edge runtimes and the simulator for developers. Every
	// client that reaches it can sign with the keys of the edge device's modules.
	// By default there is only the unix socket.
	WorkloadHTTP string
	// Throttle enables the rate limits of IoT Hub's tier S1 with one unit.
	Throttle bool
	// Dir contains workload.sock, ca.pem, and the files ca-key.pem, owner-key,
	// state.json and lock with mode 0600. Start creates the directory with mode
	// 0700 if it is missing, and otherwise continues with its files. Required.
	Dir string
	// OwnerKeyFile is a file with the owner key in base64. If it is empty, the
	// first start generates a key and stores it in Dir.
	OwnerKeyFile string
	// Log gets the hub's events, without keys, tokens or payloads.
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

// Hub is a running emulator. It is safe for concurrent use.
type Hub struct {
	options   Options
	ca        *localca.CA
	ownerKey  string
	store     *store.Store
	lock      *os.File // of Dir; see lockDirectory
	state     *statefile.File
	faults    *faults.Set
	telemetry telemetry.Log
	throttle  *throttle.Limits // nil without Options.Throttle

	broker    *broker.Broker
	rollout   *rollout.Rollout
	listeners listeners
	rest      *httpd.Server
	workload  *httpd.Server
	// workloadHTTP is nil without Options.WorkloadHTTP.
	workloadHTTP *httpd.Server
	served       chan struct{} // closed when the broker has stopped accepting

	closing  sync.Once
	closeErr error // what the first Close returned
}

// Start starts a hub and returns when all listeners accept connections. The caller
// must Close the hub. After an error nothing is running.
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

// open creates the broker, the listeners, the state file and the rollout.
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
	if err = h.startStateFile(); err == nil {
		err = h.startRollout()
	}
	if err != nil {
		h.listeners.close()
		return errors.Join(err, h.broker.Close())
	}
	return nil
}

// Close closes all connections, ends pending calls, writes the state a last time, and
// returns when all goroutines have ended. It removes only workload.sock. Another call
// waits for the first one and returns the same error.
func (h *Hub) Close() error {
	h.closing.Do(func() { h.closeErr = h.close() })
	return h.closeErr
}

func (h *Hub) close() error {
	// The broker first, because REST requests wait for its method calls.
	err := h.broker.Close()
	<-h.served
	err = errors.Join(err, h.rest.Close(), h.workload.Close())
	if h.workloadHTTP != nil {
		err = errors.Join(err, h.workloadHTTP.Close())
	}
	// The state and the lock last, because the servers may change the state.
	return errors.Join(err, h.state.Close(), h.lock.Close())
}

// AddModule creates the module and its device if they are missing. It creates
// Options.EdgeDevice as an IoT Edge device. It returns the module's generation id after
// the state is on disk. Errors: store.ErrInvalidID, wrapped, for a name that IoT Hub
// refuses; an error of the state file.
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
		return "", fmt.Errorf("write module: %w", err)
	}
	return identity.GenerationID, nil
}

// Announce stores the model id of a module, or of a device if module is empty, as its login
// does. It is for tests of services that need many modules. Errors: store.ErrDeviceNotFound,
// store.ErrModuleNotFound.
func (h *Hub) Announce(device, module, model string) error {
	return h.store.SetModelID(store.ID{Device: device, Module: module}, model)
}

// Drop closes the MQTT connection of a module, or of a device if module is empty, if
// there is one. The client sees what a network failure would show it, and can reconnect
// at once.
func (h *Hub) Drop(device, module string) {
	h.broker.Drop(store.ID{Device: device, Module: module})
}

// Faults returns the fault rules, which are empty at first. Changes are effective at
// once.
func (h *Hub) Faults() *faults.Set {
	return h.faults
}

// Telemetry returns the messages that devices and modules have sent to the cloud. They
// are not part of the state on disk.
func (h *Hub) Telemetry() *telemetry.Log {
	return &h.telemetry
}

// HTTPSAddr returns the address, host:port, of the REST API and of MQTT over WebSocket.
func (h *Hub) HTTPSAddr() string {
	return h.listeners.https.Addr().String()
}

// MQTTAddr returns the address, host:port, of MQTT.
func (h *Hub) MQTTAddr() string {
	return h.listeners.mqtt.Addr().String()
}

// OwnerConnectionString returns the connection string for services. It contains the
// owner key, which is a secret. HostName contains the port unless it is 443.
func (h *Hub) OwnerConnectionString() string {
	// The certificate is always valid for localhost, too.
	host := defaultHostName
	if _, port, err := net.SplitHostPort(h.HTTPSAddr()); err == nil && port != httpsPort {
		host = net.JoinHostPort(host, port)
	}
	return "HostName=" + host + ";SharedAccessKeyName=" + policyName + ";SharedAccessKey=" + h.ownerKey
}

// CA returns the authority of the hub's certificate.
func (h *Hub) CA() *localca.CA {
	return h.ca
}

// CAFile returns the absolute path of the authority's certificate.
func (h *Hub) CAFile() string {
	return filepath.Join(h.options.Dir, caFile)
}

// WorkloadURI returns the URI of the workload API: "unix://" and the absolute path of
// the socket.
func (h *Hub) WorkloadURI() string {
	return "unix://" + filepath.Join(h.options.Dir, socketFile)
}

// WorkloadHTTPURI returns the URI of the workload API over HTTP, such as
// "http://127.0.0.1:15580", or "" without Options.WorkloadHTTP. amenzhinsky/iothub
// needs a '/' after it.
func (h *Hub) WorkloadHTTPURI() string {
	if h.listeners.workloadHTTP == nil {
		return ""
	}
	return "http://" + h.listeners.workloadHTTP.Addr().String()
}

func component(log zerolog.Logger, name string) zerolog.Logger {
	return log.With().Str("component", name).Logger()
}

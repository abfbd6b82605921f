// Package demo is the command tunnelctl demo: the whole product on one machine's
// loopback. It starts the hub emulator with its workload API, two cameras, the
// gateway, and the edge module as a process of its own, says what it does, and ends
// it all in order. With --once it also watches each camera through a tunnel and
// says how that went.
//
// A line belongs here when it starts one of those parts or prints about it. The
// package does not know how a tunnel works.
package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/testkit/rtsptest"
)

// The names in the demo, as they would stand in a real deployment.
const (
	hubName     = "hub.rtsptunnel.test"  // reserved for tests (RFC 6761, 6.2): never a real hub
	gatewayName = "edge.rtsptunnel.test" // the edge device's host name
	deviceID    = "edge1"
	moduleID    = "rtsptunnel"
)

// site is one of the demo's two cameras.
type site struct {
	name      string // the clip it shows
	localPort int    // as the module's twin has it

	camera   *rtsptest.Camera
	listener net.Listener // where players find it
}

func sites() []*site {
	return []*site{{name: "front", localPort: 554}, {name: "yard", localPort: 1554}}
}

// url is what a player opens.
func (s *site) url() string { return "rtsp://" + s.listener.Addr().String() + "/" + s.name }

// demo is the running whole. Its parts are closed in the reverse order of their
// start.
type demo struct {
	port    int    // of the first RTSP listener; the others follow; 0 for free ports
	program string // the edge module; empty for this very binary
	out     *printer
	logs    io.Writer // takes the log lines of all parts
	log     zerolog.Logger
	observe func(gateway.Event)

	dir     string
	sites   []*site
	hub     *hubemulator.Hub
	client  *hubclient.Client
	gateway *gateway.Gateway
	base    string // the gateway's URL
	caFile  string // the gateway's CA, for the module
	module  *process

	closers []func()
}

// start starts everything and returns when the module has acknowledged its cameras.
// Whatever it started is closed by close, also after an error.
func (d *demo) start(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"ports", d.listen},
		{"hub emulator", d.startHub},
		{"cameras", d.startCameras},
		{"gateway", d.startGateway},
		{"deployment", d.deploy},
		{"edge module", d.startModule},
		{"hub connection", d.awaitModule},
	} {
		if ctx.Err() != nil {
			return errInterrupted
		}
		said, err := step.run(ctx)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		d.out.step(step.name, said)
	}
	return nil
}

// errInterrupted is Ctrl-C before everything had started.
var errInterrupted = errors.New("interrupted")

func (d *demo) onClose(f func()) { d.closers = append(d.closers, f) }

func (d *demo) close() {
	for _, end := range slices.Backward(d.closers) {
		end()
	}
	d.closers = nil
}

// listen takes the ports first: they are what a second demo would want too.
func (d *demo) listen(ctx context.Context) (string, error) {
	var said []string
	for i, s := range d.sites {
		port := 0
		if d.port != 0 {
			port = d.port + i
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return "", fmt.Errorf("%w (is another demo running? --port N takes others, --port 0 free ones)", err)
		}
		s.listener = ln
		d.onClose(func() { _ = ln.Close() })
		said = append(said, ln.Addr().String())
	}
	return "taken for players: " + and(said), nil
}

func (d *demo) startHub(context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "rtsptunnel-demo-")
	if err != nil {
		return "", err
	}
	d.dir = dir
	d.onClose(func() { _ = os.RemoveAll(dir) })
	hub, err := hubemulator.Start(hubemulator.Options{ //nolint:contextcheck // it lives until Close
		HostName: hubName, GatewayName: gatewayName, EdgeDevice: deviceID,
		Dir: filepath.Join(dir, "hub"), Log: d.log.With().Str("part", "hub emulator").Logger(),
	})
	if err != nil {
		return "", err
	}
	d.hub = hub
	d.onClose(func() { _ = hub.Close() })
	d.client, err = hubclient.New(hub.OwnerConnectionString(), hubclient.Options{Roots: hub.CA().Pool()})
	if err != nil {
		return "", err
	}
	d.onClose(d.client.Close)
	return fmt.Sprintf("REST on %s, MQTT over TLS on %s, workload API on a unix socket", hub.HTTPSAddr(), hub.MQTTAddr()), nil
}

func (d *demo) startCameras(context.Context) (string, error) {
	var said []string
	for _, s := range d.sites {
		camera, err := rtsptest.Start(rtsptest.Options{Name: s.name})
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.name, err)
		}
		s.camera = camera
		d.onClose(camera.Close)
		said = append(said, s.name+" on "+camera.Addr())
	}
	return and(said), nil
}

// startGateway has a certificate authority of its own: the module must trust the
// hub and the gateway for different reasons.
func (d *demo) startGateway(ctx context.Context) (string, error) {
	ca, err := localca.New("rtsptunnel demo gateway CA")
	if err != nil {
		return "", err
	}
	d.caFile = filepath.Join(d.dir, "gateway-ca.pem")
	if err := os.WriteFile(d.caFile, ca.CertPEM(), 0o600); err != nil {
		return "", err
	}
	cert, err := ca.Issue("127.0.0.1")
	if err != nil {
		return "", err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	d.base = "wss://" + ln.Addr().String()
	log := d.log.With().Str("part", "gateway").Logger()
	d.gateway = gateway.New(gateway.Options{Hub: d.client, BaseURL: d.base, Log: log, Observe: d.observe})
	secured := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	server := httpd.Serve(secured, d.gateway, log) //nolint:contextcheck // it lives until Close
	d.onClose(func() { _ = server.Close() })
	return "waits for tunnels on " + d.base, nil
}

// deploy registers the edge device and applies a deployment to it, as an operator
// would: it makes the module and names its cameras.
func (d *demo) deploy(ctx context.Context) (string, error) {
	device := hubclient.Registration{DeviceID: deviceID, Capabilities: &hubclient.Capabilities{IoTEdge: true}}
	if _, err := d.client.Register(ctx, device); err != nil {
		return "", err
	}
	content, err := d.content()
	if err != nil {
		return "", err
	}
	if err := d.client.ApplyContent(ctx, deviceID, content); err != nil {
		return "", err
	}
	return fmt.Sprintf("applied to %s: module %s with its cameras", deviceID, moduleID), nil
}

func (d *demo) identity() hubclient.Identity {
	return hubclient.Identity{Device: deviceID, Module: moduleID}
}

// publish serves players until ctx is done.
func (d *demo) publish(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var publishing sync.WaitGroup
	for _, s := range d.sites {
		publishing.Go(func() {
			camera := gateway.Camera{Name: s.name, Identity: d.identity(), LocalPort: s.localPort}
			if err := d.gateway.Publish(ctx, s.listener, camera); err != nil {
				d.out.line("%v", err)
			}
		})
	}
	d.onClose(func() { cancel(); publishing.Wait() })
}

// endTime bounds what the module may take to end; then it is killed.
const endTime = 9 * time.Second

// Package demo is the command tunnelctl demo: the whole product on one machine's
// loopback. It starts the hub emulator with its workload API, two cameras, the gateway,
// and the edge module as a separate process. It prints each step, and stops the parts in
// the reverse order of their start. With --once it watches each camera through a tunnel
// and prints the results.
//
// Code belongs here if it starts one of the parts or prints about it. The package does
// not know how a tunnel works.
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
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/testkit/rtsptest"
)

// The names in the demo, in the form of a real deployment.
const (
	hubName     = "hub.rtsptunnel.test"  // .test is reserved (RFC 6761, 6.2): never a real hub
	gatewayName = "edge.rtsptunnel.test" // the edge device's host name
	deviceID    = "edge1"
	moduleID    = "rtsptunnel"
)

// camera is one of the demo's two cameras.
type camera struct {
	name      string // also the name of its clip
	localPort int    // in the module's twin

	simulator *rtsptest.Camera
	listener  net.Listener // for players
}

func newCameras() []*camera {
	return []*camera{{name: "front", localPort: 554}, {name: "yard", localPort: 1554}}
}

// url returns the URL for players.
func (c *camera) url() string { return "rtsp://" + c.listener.Addr().String() + "/" + c.name }

// demo is everything that runs. close closes its parts in the reverse order of their start.
type demo struct {
	port    int    // of the first RTSP listener; the second has the next one; 0 takes free ports
	program string // the edge module; empty for this binary
	out     *printer
	logs    io.Writer // of all parts
	log     zerolog.Logger
	observe func(opener.Event)

	dir     string
	cameras []*camera
	hub     *hubemulator.Hub
	client  *hubclient.Client
	gateway *opener.Opener
	base    string // the gateway's URL
	caFile  string // the gateway's CA, for the module
	module  *process

	closers []func()
}

// start starts everything and returns when the module has acknowledged its cameras. The
// caller must call close, also after an error.
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
		result, err := step.run(ctx)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		d.out.step(step.name, result)
	}
	return nil
}

// errInterrupted is Ctrl-C before the end of the start or of --once.
var errInterrupted = errors.New("interrupted")

func (d *demo) onClose(f func()) { d.closers = append(d.closers, f) }

func (d *demo) close() {
	for _, end := range slices.Backward(d.closers) {
		end()
	}
	d.closers = nil
}

// listen takes the ports first, since a second demo on this machine may have them.
func (d *demo) listen(ctx context.Context) (string, error) {
	var addresses []string
	for i, c := range d.cameras {
		port := 0
		if d.port != 0 {
			port = d.port + i
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return "", fmt.Errorf("%w (is another demo running? --port N takes other ports, --port 0 free ones)", err)
		}
		c.listener = ln
		d.onClose(func() { _ = ln.Close() })
		addresses = append(addresses, ln.Addr().String())
	}
	return "taken for players: " + strings.Join(addresses, " and "), nil
}

func (d *demo) startHub(context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "rtsptunnel-demo-")
	if err != nil {
		return "", err
	}
	d.dir = dir
	d.onClose(func() { _ = os.RemoveAll(dir) })
	hub, err := hubemulator.Start(hubemulator.Options{ //nolint:contextcheck // it runs until Close
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
	var addresses []string
	for _, c := range d.cameras {
		simulator, err := rtsptest.Start(rtsptest.Options{Name: c.name})
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		c.simulator = simulator
		d.onClose(simulator.Close)
		addresses = append(addresses, c.name+" on "+simulator.Addr())
	}
	return strings.Join(addresses, " and "), nil
}

// startGateway gives the gateway its own certificate authority, other than the hub's, as
// in a real deployment.
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
	d.gateway = opener.New(opener.Options{Endpoint: d.base, Log: log, Observe: d.observe})
	secured := tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	server := httpd.Serve(secured, d.gateway, log) //nolint:contextcheck // it runs until Close
	d.onClose(func() { _ = server.Close() })
	return "waits for tunnels on " + d.base, nil
}

// deploy registers the edge device and applies a deployment to it, as an operator does.
// The deployment makes the module and names its cameras.
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
	for _, c := range d.cameras {
		publishing.Go(func() {
			published := opener.Target{Name: c.name, Hub: d.client, Identity: d.identity(), LocalPort: c.localPort}
			if err := d.gateway.Publish(ctx, c.listener, published); err != nil {
				d.out.line("%v", err)
			}
		})
	}
	d.onClose(func() { cancel(); publishing.Wait() })
}

// stopTimeout is how long the module may take to stop before it is killed.
const stopTimeout = 9 * time.Second

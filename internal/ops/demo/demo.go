// Package demo is the command tunnelctl demo: the whole product on one machine's
// loopback. It starts the hub emulator with its workload API, two cameras, and the edge
// module and the gateway as processes of their own. It prints each step and what the
// gateway logs about viewers and tunnels, and stops the parts in the reverse order of their
// start. With --once it watches each camera through a tunnel and prints the results.
//
// Code belongs here if it starts one of the parts or prints about it. The package does
// not know how a tunnel works.
package demo

import (
	"context"
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

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator"
)

// The names in the demo, in the form of a real deployment.
const (
	hubName     = "hub.rtsptunnel.test"  // .test is reserved (RFC 6761, 6.2): never a real hub
	gatewayName = "edge.rtsptunnel.test" // the edge device's host name
	deviceID    = "edge1"
	moduleID    = "rtsptunnel"
)

// The steps that a line may follow later.
const (
	moduleStep  = "edge module"
	gatewayStep = "gateway"
)

// demo is everything that runs. close closes its parts in the reverse order of their start.
type demo struct {
	port     int    // of RTSP; 0 takes a free one
	pagePort int    // of the page, or one of the next; 0 takes a free one
	program  string // the edge module; empty for this binary
	once     bool   // tunnels close when their only viewer has left
	out      *printer
	logs     io.Writer // of all parts
	log      zerolog.Logger
	events   *eventLog // of the gateway

	dir     string
	cameras []*camera
	hub     *hubemulator.Hub
	client  *hubclient.Client
	module  *process

	taken              []net.Listener // keep the gateway's ports until it starts
	public, rtsp, page string         // its addresses for modules, players and browsers
	files              gatewayFiles
	gateway            *process
	served             chan struct{} // closed by discovered
	discovered         func()        // the gateway knows all cameras

	closers []func()
}

func newDemo(cameras []*camera, out *printer, logs io.Writer) *demo {
	served := make(chan struct{})
	return &demo{
		out: out, cameras: cameras, logs: logs, log: zerolog.New(logs).With().Timestamp().Logger(), events: newEventLog(),
		served: served, discovered: sync.OnceFunc(func() { close(served) }),
	}
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
		{"deployment", d.deploy},
		{moduleStep, d.startModule},
		{"hub connection", d.awaitModule},
		{gatewayStep, d.startGateway},
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

func (d *demo) startHub(context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "rtsptunnel-demo-")
	if err != nil {
		return "", err
	}
	d.dir = dir
	d.onClose(func() { _ = os.RemoveAll(dir) })
	d.files.dir = filepath.Join(dir, "gateway")
	if err := d.files.certify(); err != nil { // the module gets the authority's certificate
		return "", err
	}
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

// startCameras starts the simulators.
func (d *demo) startCameras(context.Context) (string, error) {
	var addresses []string
	for _, c := range d.cameras {
		if c.host != "" { // a camera of the user
			addresses = append(addresses, c.name+" on "+net.JoinHostPort(c.host, strconv.Itoa(c.port)))
			continue
		}
		if err := c.simulate(); err != nil {
			return "", fmt.Errorf("%s: %w", c.name, err)
		}
		d.onClose(c.simulator.Close)
		addresses = append(addresses, c.name+" on "+c.simulator.Addr())
	}
	return strings.Join(addresses, " and "), nil
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

// stopTimeout is how long a process may take to stop before it is killed.
const stopTimeout = 9 * time.Second

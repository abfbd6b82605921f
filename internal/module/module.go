// Package module wires the edge module: configuration, hub connection, cameras,
// tunnels. It is the whole program behind cmd/rtsptunnel, and the only place where
// edge, twin and tunnel meet: direct methods become tunnels here, and desired
// properties become cameras.
//
// A line belongs here when it joins two of those packages. What one of them can do
// by itself stands there.
package module

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/camera"
	"rtsptunnel/internal/config"
	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/reason"
	"rtsptunnel/internal/tunnel"
	"rtsptunnel/internal/tunnelopen"
	"rtsptunnel/internal/twin"
	"rtsptunnel/internal/wsconn"
)

// Version is the program's, set by -ldflags in an image.
var Version = "dev"

// drainTime is for closing the tunnels; the container's grace period is 10 s.
const drainTime = 8 * time.Second

// Main is the edge module as a process: it runs until SIGTERM or SIGINT and returns
// the exit code. A second signal ends the process at once. Log lines go to stdout.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	fieldNames()
	if err := Run(ctx, os.Stdout); err != nil {
		return 1
	}
	return 0
}

// Run is Main without the process: it logs to w and ends in order when ctx is done,
// with nil. Only a configuration without which nothing can be done is an error; it
// has been logged.
func Run(ctx context.Context, w io.Writer) error {
	cfg, warning, err := config.Read()
	log := newLogger(w, cfg.InsideIoTEdge(), cfg.RuntimeLogLevel)
	if err != nil {
		log.Error().Err(err).Msg("cannot start")
		return err
	}
	if warning != nil {
		log.Warn().Err(warning).Msg("a variable is set that nobody reads")
	}
	m := newModule(log, remoteRoots(log, cfg.Own.CAFile))
	hub, err := edge.New(edge.Options{
		Identity: edge.Identity{
			HubHost: cfg.Edge.IoTHubHostName, GatewayHost: cfg.Edge.GatewayHostName,
			DeviceID: cfg.Edge.DeviceID, ModuleID: cfg.Edge.ModuleID,
			GenerationID: cfg.Edge.ModuleGenerationID, WorkloadURI: cfg.Edge.WorkloadURI,
		},
		Address: cfg.Own.HubAddress, ModelID: tunnelopen.ModelID, Product: product(), Handler: m, Log: log,
	})
	if err != nil {
		log.Error().Err(err).Msg("cannot start")
		return err
	}
	log.Info().Str("version", Version).Str("arch", runtime.GOARCH).
		Str("device", cfg.Edge.DeviceID).Str("module", cfg.Edge.ModuleID).Msg("rtsptunnel starts")
	m.run(ctx, hub)
	log.Info().Msg("rtsptunnel ended")
	return nil
}

// product is the User-Agent and the DeviceClientType.
func product() string {
	return fmt.Sprintf("rtsptunnel/%s (%s; %s)", Version, runtime.GOOS, runtime.GOARCH)
}

// module is the edge.Handler.
type module struct {
	log     zerolog.Logger
	remote  wsconn.Dialer
	cameras camera.List
	tunnels *tunnel.Set

	mu      sync.Mutex
	inForce []twin.Camera // what the last readable twin left in force
}

func newModule(log zerolog.Logger, roots *x509.CertPool) *module {
	m := &module{log: log, remote: wsconn.Dialer{Roots: roots, Proxy: http.ProxyFromEnvironment}}
	m.tunnels = tunnel.New(tunnel.Options{Camera: m.camera, Remote: m.dialRemote, Log: log})
	return m
}

// run serves until ctx is done. The hub connection outlives the tunnels, so that a
// call that arrives meanwhile is told that the module shuts down.
func (m *module) run(ctx context.Context, hub *edge.Client) {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { hub.Run(connected) })

	<-ctx.Done()
	m.log.Info().Int("tunnels", m.tunnels.Len()).Msg("shutting down")
	drain, cancel := context.WithTimeout(connected, drainTime)
	defer cancel()
	if err := m.tunnels.Shutdown(drain); err != nil {
		m.log.Warn().Err(err).Msg("tunnels were left open")
	}
	disconnect()
	running.Wait()
}

// Method answers a direct method. A panic costs the one call.
func (m *module) Method(ctx context.Context, name string, payload []byte) (status int, body []byte) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error().Interface("panic", p).Str("method", name).Msg("internal error")
			status, body = tunnelopen.Response(errors.New("panic"))
		}
	}()
	m.log.Debug().Str("method", name).Int("bytes", len(payload)).Msg("direct method received")
	return tunnelopen.Response(m.call(ctx, name, payload))
}

func (m *module) call(ctx context.Context, name string, payload []byte) error {
	if name != tunnelopen.MethodName {
		return m.refuse(tunnelopen.UnknownMethod(name))
	}
	r, err := tunnelopen.Decode(payload)
	if err != nil {
		return m.refuse(err)
	}
	return m.tunnels.Open(ctx, r)
}

// refuse logs a call that never became a tunnel's.
func (m *module) refuse(err error) error {
	event := m.log.Warn().Err(err)
	if e, ok := errors.AsType[*tunnelopen.Error](err); ok {
		event = event.Str("reason", string(e.Reason)).Int("code", e.Status)
	}
	event.Msg("direct method refused")
	return err
}

func (m *module) camera(localPort int) (tunnel.Camera, bool) {
	c, ok := m.cameras.Find(localPort)
	return tunnel.Camera{Name: c.Name, Target: c.Target(), Dial: c.Dial}, ok
}

func (m *module) dialRemote(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
	conn, err := m.remote.Dial(ctx, r.RemoteEndpoint, tunnelopen.Header(r.Token, product()))
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// remoteRoots are the roots for remote endpoints: the system's and those in file.
// A file that cannot be used leaves the system's, which is not less safe.
func remoteRoots(log zerolog.Logger, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		log.Warn().Err(err).Msg("no system roots")
		roots = x509.NewCertPool()
	}
	pem, err := os.ReadFile(file) //nolint:gosec // G304: the operator names the file
	if err == nil && !roots.AppendCertsFromPEM(pem) {
		err = fmt.Errorf("no certificate in %s", file)
	}
	if err != nil {
		log.Error().Err(err).Str("reason", string(reason.RemoteTLSCA)).
			Msg("RTSPTUNNEL_CA_FILE cannot be used: remote endpoints are verified by the system's roots alone")
	}
	return roots
}

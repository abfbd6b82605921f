// Package module wires the edge module: configuration, hub connection, cameras,
// tunnels. It is the whole program behind cmd/rtsptunnel, and the only place where
// edge, twin and tunnel meet: direct methods become tunnels here, desired properties
// come into force, and what became of both is reported.
//
// A line belongs here when it joins two of those packages. What one of them can do
// by itself stands there.
package module

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/logqueue"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/wire/wsconn"
)

// drainTime is for closing the tunnels, flushTime for what is left of the log; the
// container's grace period is 10 s.
const (
	drainTime = 8 * time.Second
	flushTime = time.Second
)

// exitEnvironment is the exit code if the environment makes reaching any hub
// impossible. Nothing else ends the process by itself.
const exitEnvironment = 2

// Main is the edge module as a process: it runs until SIGTERM or SIGINT and returns
// the exit code. A second signal ends the process at once. Log lines go to stdout,
// and nobody waits for who reads them there, or dies with them.
func Main() int {
	signal.Ignore(syscall.SIGPIPE)
	fitMemory(memlimit.FromCgroup)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	fieldNames()
	stdout := logqueue.New(ownStdout())
	defer stdout.Close(flushTime)
	if err := Run(ctx, stdout, os.Stderr); err != nil {
		return exitEnvironment
	}
	return 0
}

// Run is Main without the process: it logs to stdout and ends in order when ctx is
// done, with nil. Only an environment with which no hub can be reached is an error;
// it is one line on stderr that says what to set, and nothing on stdout.
func Run(ctx context.Context, stdout, stderr io.Writer) error {
	return run(ctx, stdout, stderr, usualTimes())
}

func run(ctx context.Context, stdout, stderr io.Writer, t times) error {
	cfg, err := config.Read()
	level, known := newLiveLevel(cfg.RuntimeLogLevel)
	if !known {
		cfg.Faults = append(cfg.Faults, config.Fault{Variable: "RuntimeLogLevel", Text: "is not a level; info is in force"})
	}
	log := newLogger(stdout, cfg.InsideIoTEdge, zerolog.TraceLevel).Sample(level)
	if q, ok := stdout.(*logqueue.Queue); ok {
		q.OnDrop(dropNote(cfg.InsideIoTEdge))
	}
	roots, bad := systemAnd(cfg.CAFile)
	if bad != nil {
		cfg.Faults = append(cfg.Faults, config.Fault{Variable: "RTSPTUNNEL_CA_FILE", Text: "is not used: " + bad.Error()})
	}
	var m *module
	var hub *edge.Client
	if err == nil {
		m = newModule(log, level, cfg, roots, newObserver(log, append(degraded(cfg.Faults), labReasons(cfg)...), t))
		hub, err = edge.New(edge.Options{
			Identity: hubIdentity(cfg, log), Protocol: edge.Protocol(cfg.Protocol),
			Address: cfg.HubAddress, WebSocketAddress: cfg.HubWSAddress, Proxy: cfg.Proxy,
			ModelID: tunnelopen.ModelID, Product: product(), Handler: m, Log: log, TokenLifetime: t.Token, ReportPace: t.ReportPace,
		})
	}
	if err != nil {
		log := newLogger(stderr, cfg.InsideIoTEdge, zerolog.ErrorLevel)
		log.Error().Err(err).Msg("cannot start")
		return err
	}
	tellStart(log, cfg)
	tellEnvironment(log, cfg)
	m.run(ctx, hub, cfg.MetricsListen)
	log.Info().Msg("rtsptunnel ended")
	return nil
}

// product is the DeviceClientType, and with the environment's suffix the User-Agent.
func product() string {
	return fmt.Sprintf("rtsptunnel/%s (%s; %s)", Version, runtime.GOOS, runtime.GOARCH)
}

// module is the edge.Handler.
type module struct {
	log       zerolog.Logger
	level     *liveLevel // of log
	decoder   tunnelopen.Decoder
	policy    *remotePolicy
	remote    wsconn.Dialer
	userAgent string // to remote endpoints
	cameras   camera.List
	health    cameraHealth
	tunnels   *tunnel.Set
	liveness  atomic.Pointer[wsconn.Liveness] // of remote ends; nil before the first twin
	seen      *observer

	// Of Twin alone.
	mu       sync.Mutex
	inForce  *twin.Settings // what the last readable twin left in force; nil before
	outcome  twin.Outcome   // of that twin
	reasons  []reason.Code  // as reported last, since then
	since    time.Time
	totalsAt time.Time // when the hub was told of counters
}

// newModule opens nothing until there is a twin: it may say that nothing is to be opened.
func newModule(log zerolog.Logger, level *liveLevel, cfg config.Module, roots *x509.CertPool, seen *observer) *module {
	m := &module{log: log, level: level, seen: seen, policy: newRemotePolicy(cfg)}
	m.decoder.Plaintext = cfg.AllowPlaintextRemote
	m.remote = m.policy.dialer(roots)
	m.userAgent = strings.TrimSpace(product() + " " + cfg.UserAgentSuffix)
	m.tunnels = tunnel.New(tunnel.Options{
		Camera: m.cameras.Find, DialCamera: m.dialCamera, Allow: m.allow, Remote: m.dialRemote, Log: log,
		Limits: tunnel.Limits{Enabled: false, Max: 1}, // no limits at all would be the defaults
	})
	seen.signs = m.signs
	return m
}

// run serves until ctx is done. The hub connection outlives the tunnels, so that a
// call that arrives meanwhile is told that the module shuts down.
func (m *module) run(ctx context.Context, hub *edge.Client, metricsListen string) {
	m.seen.hub, m.seen.report = hub.State, hub.Refresh
	defer m.seen.serve(ctx, metricsListen)()
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { hub.Run(connected) })

	<-ctx.Done()
	m.seen.drain()
	m.log.Info().Int("tunnels", m.tunnels.Len()).Msg("shutting down")
	drain, cancel := context.WithTimeout(connected, drainTime)
	defer cancel()
	if err := m.tunnels.Shutdown(drain); err != nil {
		m.log.Warn().Err(err).Msg("tunnels were left open")
	}
	disconnect()
	running.Wait()
}

func (m *module) allow(r tunnelopen.Request) (*url.URL, error) { return m.policy.allow(r.URL) }

func (m *module) dialRemote(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
	remote := m.remote
	if l := m.liveness.Load(); l != nil {
		remote.Liveness = *l
	}
	conn, err := remote.Dial(ctx, r.URL, tunnelopen.Header(r.Token, m.userAgent))
	if err != nil {
		return nil, err
	}
	return conn, nil
}

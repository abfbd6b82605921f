// Package module is the edge module: the program that cmd/rtsptunnel runs. It wires the
// hub connection, the twin, the policy, the cameras and the tunnels. It is the only
// package that knows all of them.
//
// One tunnelOpen:
//   - The hub connection calls Method with one call after the other. The map methods has
//     the decoder by name.
//   - tunnelOpen decodes the payload into a tunnelopen.Request, whose URL is the parsed
//     remote endpoint. An invalid payload is refused here. The payload is not kept.
//   - The hub connection runs the call that Method has returned, in a goroutine of its own.
//     While 256 calls run it asks Busy for the response instead.
//   - tunnel.Set.Open finds the camera by its local port (camera.List.Find), asks the
//     policy for the URL to dial (remotePolicy.allow), and takes a slot.
//   - It dials the camera (dialCamera, which records the outcome for the reported
//     properties), and then the remote endpoint (dialRemote). wsconn asks the policy
//     about each address that it connects to (remotePolicy.judge).
//   - tunnelopen.Response turns the result into the status and body of the response.
//   - The relay runs in its own goroutine until the tunnel ends. tunnel.Set then logs the
//     closing record.
//
// One twin change:
//   - The hub connection reads the whole twin after each connect and each change, and
//     calls Twin with the document.
//   - twin.Parse reads it. Twin.Apply returns the settings in force and the outcome: an
//     invalid camera or section keeps its last valid value.
//   - apply puts the settings in force for new tunnels, and then ends the open tunnels
//     that they forbid.
//   - report.Build makes the reported properties from both. report.Diff returns a patch
//     with what the hub does not have yet. The hub connection writes the patch.
//   - The observer asks for the same report when a state or a counter changes without a
//     new twin.
//
// A line belongs here when it joins two of those packages.
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

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/base/logqueue"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/logline"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/wire/wsconn"
)

// The timeouts of a shutdown, within the container's grace period of 10 s.
const (
	drainTimeout = 8 * time.Second // closes the tunnels
	flushTimeout = time.Second     // writes the log lines that are left
)

// exitEnvironment is the exit code for an environment with which no hub can be
// reached. The module never exits for another reason, except on a signal.
const exitEnvironment = 2

// Main runs the edge module until SIGTERM or SIGINT, and returns the exit code. A second
// one ends the process at once. SIGHUP is ignored: there is nothing to read again, and no
// tunnel may end by it. The log goes to stdout through a queue: a reader that is slow or gone
// neither blocks nor ends the module.
func Main() int {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	fitMemory(memlimit.FromCgroup)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	setFields()
	stdout := logqueue.New(takeStdout())
	defer stdout.Close(flushTimeout)
	if err := Run(ctx, stdout, os.Stderr); err != nil {
		return exitEnvironment
	}
	return 0
}

// Run runs the edge module until ctx is done, shuts it down, and returns nil. It logs to
// stdout. The only error is an environment with which no hub can be reached: then Run
// writes one line to stderr that says what to set, and nothing to stdout.
func Run(ctx context.Context, stdout, stderr io.Writer) error {
	return run(ctx, stdout, stderr, usualTimes())
}

func run(ctx context.Context, stdout, stderr io.Writer, t times) error {
	cfg, err := config.Read()
	level, known := newLevelSampler(cfg.RuntimeLogLevel)
	if !known {
		cfg.Faults = append(cfg.Faults, config.Fault{Variable: "RuntimeLogLevel", Text: "is not a level; info is in force"})
	}
	log := newLogger(stdout, cfg.InsideIoTEdge, zerolog.TraceLevel).Sample(level)
	if q, ok := stdout.(*logqueue.Queue); ok {
		q.OnDrop(droppedLine(cfg.InsideIoTEdge))
	}
	roots, bad := systemRootsAnd(cfg.CAFile)
	if bad != nil {
		cfg.Faults = append(cfg.Faults, config.Fault{Variable: "RTSPTUNNEL_CA_FILE", Text: "is not used: " + bad.Error()})
	}
	var m *module
	var hub *hublink.Link
	if err == nil {
		m = newModule(log, level, cfg, roots, newObserver(log, append(environmentReasons(cfg.Faults), labReasons(cfg)...), t))
		hub, err = hublink.New(hublink.Options{
			Conn: hubconn.Options{
				Identity: hubIdentity(cfg, log), Proxy: cfg.Proxy,
				ModelID: tunnelopen.ModelID, Product: product(), Log: log, TokenLifetime: t.Token,
				LargeTwin: func() hubconn.LargeTwin { return twin.NewDigest() },
			},
			Protocol: hubconn.Protocol(cfg.Protocol), Address: cfg.HubAddress, WebSocketAddress: cfg.HubWSAddress,
			Handler: m, ReportPace: t.ReportPace,
		})
	}
	if err != nil {
		log := newLogger(stderr, cfg.InsideIoTEdge, zerolog.ErrorLevel)
		log.Error().Err(err).Msg("cannot start")
		return err
	}
	logStart(log, cfg)
	logEnvironment(log, cfg)
	m.run(ctx, hub, cfg.MetricsListen)
	log.Info().Msg("rtsptunnel ended")
	return nil
}

// product is the DeviceClientType for the hub. The User-Agent for remote endpoints is
// product and the suffix from the environment.
func product() string {
	return fmt.Sprintf("rtsptunnel/%s (%s; %s)", buildinfo.Version, runtime.GOOS, runtime.GOARCH)
}

// module is the hublink.Handler. Its methods are safe for concurrent use.
type module struct {
	log       zerolog.Logger
	level     *levelSampler // of log
	refusals  *logline.Refusals
	decoder   tunnelopen.Decoder
	policy    *remotePolicy
	remote    wsconn.Dialer
	userAgent string // for remote endpoints
	cameras   camera.List
	health    cameraHealth
	tunnels   *tunnel.Set
	liveness  atomic.Pointer[wsconn.Liveness] // of new tunnels; nil before the first twin
	observer  *observer

	mostTunnels int // that the limit of open files allows

	mu       sync.Mutex     // held by Twin
	inForce  *twin.Settings // nil before the first valid twin
	outcome  twin.Outcome   // of the last valid twin
	reasons  []reason.Code  // as in the last report
	since    time.Time      // when reasons changed
	totalsAt time.Time      // when counters were reported
}

// newModule returns a module that opens no tunnel until Twin has applied a twin, since
// the twin may disable tunnels.
func newModule(log zerolog.Logger, level *levelSampler, cfg config.Module, roots *x509.CertPool, observer *observer) *module {
	m := &module{log: log, level: level, observer: observer, policy: newRemotePolicy(cfg), mostTunnels: tunnelsWithin(openFilesLimit())}
	m.refusals = logline.NewRefusals(log)
	m.decoder.Plaintext = cfg.AllowPlaintextRemote
	m.remote = m.policy.dialer(roots)
	m.userAgent = strings.TrimSpace(product() + " " + cfg.UserAgentSuffix)
	m.tunnels = tunnel.New(tunnel.Options{
		Camera: m.cameras.Find, DialCamera: m.dialCamera, Allow: m.allow, Remote: m.dialRemote, Log: log, Refusals: m.refusals,
		Limits: tunnel.Limits{Enabled: false, Max: 1}, // zero Limits would be the defaults
	})
	observer.activity, observer.refusals = m.activity, m.refusals
	return m
}

// run serves until ctx is done, and then closes the tunnels. The hub connection is
// closed last, so that calls during the shutdown get the response 503.
func (m *module) run(ctx context.Context, hub *hublink.Link, metricsListen string) {
	m.observer.hub, m.observer.report = hub.State, hub.Refresh
	defer m.observer.serve(ctx, metricsListen)()
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { hub.Run(connected) })

	<-ctx.Done()
	m.observer.drain()
	m.log.Info().Int("tunnels", m.tunnels.Len()).Msg("shutting down")
	drain, cancel := context.WithTimeout(connected, drainTimeout)
	defer cancel()
	if err := m.tunnels.Shutdown(drain); err != nil {
		m.log.Warn().Err(err).Msg("tunnels not closed in time")
	}
	disconnect()
	running.Wait()
}

// allow judges the remote endpoint of a request by name, and returns the URL to dial.
func (m *module) allow(r tunnelopen.Request) (*url.URL, error) { return m.policy.allow(r.URL) }

// dialRemote dials the URL of a request that allow has returned.
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

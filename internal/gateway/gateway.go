// Package gateway is tunnelgateway: the program that finds cameras in IoT Hub, opens a
// tunnel to a camera for its first viewer, pulls it once for all viewers, and serves RTSP
// players. It wires the packages of the wing, and is the only one that knows all of them.
//
// One viewer:
//   - rtspout, or live with an output for browsers behind it, asks access whether the login
//     may watch the camera, and streams for the camera's stream. streams finds the camera in
//     the fleet.
//   - The stream is idle: it calls openFunc, which waits for its turn, looks the camera up
//     again, and opens a source session over a connection of the opener (a tunnel), or of a
//     direct dial.
//   - The stream shares the session's units with its readers. It closes the session some
//     time after the last reader has left.
//
// One change of the configuration:
//   - reload reads the file when its content or a file that it names has changed, or on
//     SIGHUP. An invalid file leaves the last good one in force, and a note in /readyz.
//   - apply gives tokens to access, cameras and hubs to the fleet, and limits to streams.
//     Listeners stay as they were at the start; a note in /readyz names what differs.
//   - The fleet calls streams.changed, which ends streams of removed cameras, and opens
//     those again whose camera has moved. Viewers whose token does not allow their camera
//     any more end.
//
// Code belongs here if it joins two of those packages.
package gateway

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/base/logqueue"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/datafolder"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/hls"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/gateway/page"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/viewer"
)

const (
	drainTimeout = 20 * time.Second // ends the viewers, and closes the streams and tunnels
	flushTimeout = time.Second      // writes the log lines that are left
)

// Options are the surroundings of a gateway.
type Options struct {
	Source *config.Source
	Log    io.Writer // lines; a slow reader loses lines instead of blocking the gateway
	Notice io.Writer // for people: the generated token
	// Reload has a value when the configuration is to be read now; nil: only when it
	// changes.
	Reload <-chan struct{}
}

// Run runs the gateway until ctx is done, drains it, and returns nil. The error says why it
// does not start.
func Run(ctx context.Context, o Options) error {
	c, err := o.Source.Load()
	if err != nil {
		return err
	}
	forPeople := console(c.Log.Format, o.Log)
	queue := logqueue.New(o.Log)
	queue.OnDrop(droppedLine(forPeople))
	defer queue.Close(flushTimeout)
	level := &levelSampler{}
	level.set(c.Log.Level)
	log := newLogger(queue, forPeople).Sample(level)

	info := buildinfo.Read("tunnelgateway")
	logStart(log, c, info.Version, info.Commit)
	g := &gateway{
		o: o, queue: queue, log: log, level: level, started: c, status: &status{turn: time.Now(), within: loopLimit}, certificates: map[tlsFiles]certificate{},
	}
	defer g.end()
	if err := g.start(ctx); err != nil {
		return err
	}
	g.started.Cameras, g.started.Credentials = nil, nil // the fleet has them
	debug.FreeOSMemory()                                // reading a large file leaves much
	g.run(ctx)
	g.drain(context.WithoutCancel(ctx))
	log.Info().Msg("tunnelgateway ended")
	return nil
}

// gateway is everything that runs.
type gateway struct {
	o       Options
	queue   *logqueue.Queue
	log     zerolog.Logger
	level   *levelSampler
	started *config.Config // listeners, data folder and URL are in force as they are here
	status  *status

	folder       *datafolder.Folder
	problems     []fleet.Problem // as logged; run alone uses it
	generated    []access.Token  // the token of the data folder, if it is used
	certificates map[tlsFiles]certificate

	access  *access.Access
	hubs    *hubs
	fleet   *fleet.Fleet
	opener  *opener.Opener
	streams *streams
	rtsp    *rtspout.Server
	metrics *metrics
	browser *browser.Policy
	changes changes
	operate *api.API
	live    *live.Server
	hls     *hls.Output
	page    *page.Page // nil: none
	origins atomic.Pointer[[]string]

	watching *viewer.Set // viewers of outputs over HTTP, and the places of all

	draining atomic.Bool
	ending   context.Context //nolint:containedctx // done when the drain begins, with its cause
	drainNow context.CancelCauseFunc
	running  sync.WaitGroup // loops and accept loops
	closers  []func()       // in the order of the starts
}

func (g *gateway) onEnd(f func()) { g.closers = append(g.closers, f) }

// end closes what start has opened, in the reverse order.
func (g *gateway) end() {
	for _, closer := range slices.Backward(g.closers) {
		closer()
	}
}

// start opens everything. The caller calls end, also after an error.
func (g *gateway) start(ctx context.Context) error {
	for _, w := range g.started.Warnings {
		g.log.Warn().Str("warning", w).Msg("configuration")
	}
	if n, wanted := descriptors(), descriptorsFor(g.started); n < wanted {
		g.log.Warn().Int("openFiles", n).Int("wanted", wanted).Int("connectionsOfPlayers", connectionsOf(g.started, n).players).
			Msg("few open files are allowed, so fewer viewers can connect: raise ulimit -n")
	}
	for _, step := range []func(context.Context) error{
		g.openFolder, g.build, g.applyFirst, g.listenPublic, g.listenRTSP, g.discover,
		g.listenPrivate, // last: /readyz and /metrics read what the others have made
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *gateway) openFolder(context.Context) error {
	folder, err := datafolder.Open(g.started.Data)
	if err != nil {
		return err
	}
	g.folder = folder
	g.onEnd(func() { _ = folder.Close() })
	return nil
}

// build makes the parts, which do nothing yet.
func (g *gateway) build(context.Context) (err error) {
	g.ending, g.drainNow = context.WithCancelCause(context.Background())
	g.metrics = newMetrics(g)
	g.buildSources()
	if err := g.openAccess(); err != nil {
		return err
	}
	if g.browser, err = g.browserPolicy(); err != nil {
		return err
	}
	if err := g.buildOutputs(); err != nil {
		return err
	}
	return g.buildWeb()
}

// buildSources makes what reaches cameras.
func (g *gateway) buildSources() {
	g.hubs = newHubs()
	g.onEnd(g.hubs.close)
	g.opener = opener.New(opener.Options{Endpoint: endpoint(g.started.PublicURL), MaxTunnels: g.started.Limits.OpenTunnels, Log: g.log})
	g.streams = newStreams(g.log)
	g.fleet = fleet.New(fleet.Options{Log: g.log, Changed: g.streams.changed, Updated: g.changes.fleet})
	g.streams.lookup, g.streams.tunnel, g.streams.found = g.fleet.Lookup, g.tunnel, g.changes.follow
	if g.metrics != nil {
		g.streams.observe = g.metrics.event
	}
}

// discover runs the fleet, which asks the hubs for cameras.
func (g *gateway) discover(ctx context.Context) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); g.fleet.Run(ctx) }()
	g.onEnd(func() { stop(); <-done })
	return nil
}

// notice writes to people.
func (g *gateway) notice(text string) { _, _ = io.WriteString(g.o.Notice, text) }

// drain ends everything in order: viewers learn why, then the tunnels close with 1001,
// then the streams. It takes drainTimeout at most.
func (g *gateway) drain(ctx context.Context) {
	begun := time.Now()
	g.draining.Store(true)
	g.status.lack(partShutdown, reason.ShuttingDown, reason.ShuttingDown.Text())
	g.log.Info().Int("viewers", len(g.viewers())).Msg("draining")
	g.drainNow(failure.New(failure.Gateway, reason.ShuttingDown, nil))
	ctx, cancel := context.WithTimeoutCause(ctx, drainTimeout, failure.New(failure.Gateway, reason.ShuttingDown, errors.New("the drain took too long")))
	defer cancel()
	players, end := context.WithTimeout(ctx, drainTimeout/2) // one that reads nothing must not take the time of all
	defer end()
	g.endViewers(players)
	g.opener.Shutdown(ctx)
	g.streams.shutdown(ctx)
	g.running.Wait()
	g.log.Info().Dur("durMs", time.Since(begun)).Msg("drained")
}

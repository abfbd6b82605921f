package module

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/logline"
)

const (
	watchInterval = time.Second // of the observer's loop
	watchTurns    = time.Minute // time without a turn after which that loop is stuck
)

// observer watches the module. It answers the health endpoints as a health.Program, logs
// changes, and triggers reports to the hub. It never waits for a lock that the module
// holds while it works.
type observer struct {
	log      zerolog.Logger
	hub      func() hublink.State
	report   func() // requests a write of the reported properties
	activity func() activity
	refusals *logline.Refusals // the watch loop writes their numbers
	started  time.Time
	times    times

	applied  atomic.Bool               // a twin was applied
	draining atomic.Pointer[time.Time] // when shutdown began; nil before
	turned   atomic.Pointer[time.Time] // last turn of watch

	reasons []string       // why the module is degraded since its start
	server  *health.Server // nil for none; set before the hub is dialed
}

func newObserver(log zerolog.Logger, reasons []string, t times) *observer {
	o := &observer{log: log, started: time.Now(), times: t, reasons: reasons}
	o.turned.Store(&o.started)
	return o
}

// Loops returns the event loops that live as long as the module: the hub connection's
// and the observer's.
func (o *observer) Loops() []health.Loop {
	hub := o.hub().LastTurn
	if hub.IsZero() {
		hub = o.started
	}
	return []health.Loop{
		{Name: "hub", Last: hub, Within: o.times.HubTurns},
		{Name: "watch", Last: *o.turned.Load(), Within: watchTurns},
	}
}

// Missing returns why the module is not ready: callers cannot open tunnels now.
func (o *observer) Missing() []health.Missing {
	var missing []health.Missing
	add := func(part string, code reason.Code, since time.Time) {
		if since.IsZero() {
			since = o.started
		}
		missing = append(missing, health.Missing{Part: part, Reason: string(code), Text: code.Text(), Since: since.UTC().Truncate(time.Millisecond)})
	}
	if since := o.draining.Load(); since != nil {
		add("module", reason.ShuttingDown, *since)
	}
	switch s := o.hub(); {
	case !s.Connected:
		add("hub", reason.HubNotConnected, s.Since)
	case !s.Subscribed:
		add("hub", reason.HubNotSubscribed, s.Since)
	}
	if !o.applied.Load() {
		add("configuration", reason.TwinNotApplied, o.started)
	}
	return missing
}

func (o *observer) drain() {
	now := time.Now()
	o.draining.Store(&now)
}

// degraded returns the reason codes of the reported state, without those of the twin. A
// stuck loop is not reported: one loop writes the reported properties, and the other
// one triggers the write.
func (o *observer) degraded() []string {
	reasons := slices.Clone(o.reasons)
	if o.server != nil && !o.server.Listening() {
		reasons = append(reasons, string(reason.HealthListen))
	}
	return reasons
}

// serve starts the health endpoints, unless address is empty, and the watch loop. end
// stops both and waits for them.
func (o *observer) serve(ctx context.Context, address string) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	if address != "" {
		o.server = health.New(ctx, health.Config{
			Address: address, Handler: health.Handler(o), Log: o.log,
			Reason: string(reason.HealthListen), Advice: "RTSPTUNNEL_METRICS_LISTEN sets another address, or off",
		})
		running.Go(func() { o.server.Run(ctx) })
	}
	running.Go(func() { o.watch(ctx) })
	return func() { cancel(); running.Wait() }
}

// watch logs changes of readiness and of stuck loops and the numbers of refusals, and triggers a report when a
// reason, a tunnel, a camera or a counter changes.
func (o *observer) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	last := condition{reasons: o.degraded()}
	reports := reportSchedule{interval: o.times.ReportPace}
	for {
		select {
		case <-ctx.Done():
			o.refusals.FlushAll()
			return
		case now := <-tick.C:
			o.turned.Store(&now)
			o.refusals.Flush(now)
			last = o.logChanges(last)
			if reports.due(o.activity(), now) {
				o.report()
			}
		}
	}
}

// condition is what the log and the hub know of the module's health.
type condition struct {
	ready, notReady bool     // both false before the first turn
	stuck           int      // loops
	reasons         []string // reported, or about to be
}

// logChanges logs the changes since before, requests a report for those of the reasons,
// and returns the present condition.
func (o *observer) logChanges(before condition) condition {
	missing, stuck := o.Missing(), health.Stuck(o)
	now := condition{ready: len(missing) == 0, notReady: len(missing) > 0, stuck: len(stuck), reasons: o.degraded()}
	if !slices.Equal(now.reasons, before.reasons) {
		o.report()
	}
	switch {
	case now.ready && !before.ready:
		o.log.Info().Msg("ready: direct methods are subscribed and the configuration is applied")
	case now.notReady && !before.notReady:
		codes := make([]string, len(missing))
		for i, m := range missing {
			codes[i] = m.Reason
		}
		o.log.Warn().Str("reason", codes[0]).Strs("missing", codes).Time("since", missing[0].Since).Msg("not ready: " + missing[0].Text)
	}
	if now.stuck > before.stuck {
		l := stuck[len(stuck)-1]
		o.log.Error().Str("reason", string(reason.LoopStuck)).Str("loop", l.Name).Time("lastTurn", l.Last).Msg(reason.LoopStuck.Text())
	}
	if now.stuck == 0 && before.stuck > 0 {
		o.log.Info().Msg("all event loops run again")
	}
	return now
}

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
	"rtsptunnel/internal/module/edge"
)

// watchTurns is times.HubTurns of the observer's own loop.
const watchTurns = time.Minute

// watchTime is from one look at the module's own health to the next, for the log.
const watchTime = time.Second

// observer is the module as it is seen from outside: a health.Program. It takes no
// lock that is held while anything happens.
type observer struct {
	log     zerolog.Logger
	hub     func() edge.State
	report  func() // makes the hub hear of the state soon
	signs   func() signs
	started time.Time
	times   times

	applied  atomic.Bool               // a twin came into force
	draining atomic.Pointer[time.Time] // when shutdown began; nil before
	turned   atomic.Pointer[time.Time] // when watch turned last

	reasons []string       // why the module is degraded, from the start on
	server  *health.Server // nil for none; set before the hub is dialled
}

func newObserver(log zerolog.Logger, reasons []string, t times) *observer {
	o := &observer{log: log, started: time.Now(), times: t, reasons: reasons}
	o.turned.Store(&o.started)
	return o
}

// Loops is the hub connection's and the observer's own. Nobody else waits for events
// for as long as the module lives.
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

// Missing is what keeps callers from tunnels.
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

// degraded are the reason codes of the reported state; watch has the hub told of a
// change. A loop that is stuck is none of them: the twin is written by the one loop, and
// a change is noticed by the other.
func (o *observer) degraded() []string {
	reasons := slices.Clone(o.reasons)
	if o.server != nil && !o.server.Listening() {
		reasons = append(reasons, string(reason.HealthListen))
	}
	return reasons
}

// serve serves health on address, or not if it is empty, and logs changes of it,
// until end is called, which waits.
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

// watch logs when the module becomes ready, when it is not any more, and when a loop
// stands still or turns again; and it has the hub told of what changes by itself.
func (o *observer) watch(ctx context.Context) {
	tick := time.NewTicker(watchTime)
	defer tick.Stop()
	told := told{reasons: o.degraded()}
	notices := notices{pace: o.times.ReportPace}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			o.turned.Store(&now)
			told = o.tell(told)
			if notices.due(o.signs(), now) {
				o.report()
			}
		}
	}
}

// told is what the log knows.
type told struct {
	ready, notReady bool // neither at first
	stuck           int
	reasons         []string // known to the hub, or soon
}

func (o *observer) tell(before told) told {
	missing, stuck := o.Missing(), health.Stuck(o)
	now := told{ready: len(missing) == 0, notReady: len(missing) > 0, stuck: len(stuck), reasons: o.degraded()}
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
		o.log.Info().Msg("all event loops turn again")
	}
	return now
}

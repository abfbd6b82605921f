package hublink

import (
	"context"
	"math/rand/v2"
	"time"

	"rtsptunnel/internal/module/hubconn"
)

// prober looks for listeners during the wait between two attempts, so that the module
// answers seconds after its hub is back, however long that was away. It probes only
// addresses that did not accept a connection. A server that accepts and then fails gets
// attempts by the backoff alone.
type prober struct {
	dialer       *hubconn.Dialer
	places       map[hubconn.Protocol]place
	workloadDown bool           // the workload API accepted no connection
	found        *hubconn.Route // the route with a new listener, for the next attempt
}

// place is the far end of a route. down means that it accepted no connection. If it is
// false, the last session may have ended because the hub went away or because the hub
// closed it; a listener there says nothing until a probe has failed.
type place struct {
	route hubconn.Route
	down  bool
}

// note records how a session on the route ended, and whether it served until then.
func (p *prober) note(route hubconn.Route, served bool, err error) {
	if p.places == nil {
		p.places = make(map[hubconn.Protocol]place)
	}
	delete(p.places, route.Protocol)
	if down := hubconn.Unreachable(err); served || down {
		p.places[route.Protocol] = place{route, down}
	}
}

// take returns the route that a probe has found, once.
func (p *prober) take() (route hubconn.Route, ok bool) {
	if p.found == nil {
		return hubconn.Route{}, false
	}
	route, p.found = *p.found, nil
	return route, true
}

// interval is the time between two probes.
func (p *prober) interval(t times) time.Duration {
	for _, at := range p.places {
		if at.route.Proxied() {
			return t.ProbeProxied
		}
	}
	return t.Probe
}

// confirm probes the places of which it is not known whether they are down. Directly after
// a session ended is the best time to tell a hub that went away from one that closed it.
func (p *prober) confirm(ctx context.Context, t times) {
	ctx, cancel := context.WithTimeout(ctx, t.ProbeTimeout)
	defer cancel()
	p.probe(ctx, func(at place) bool { return !at.down })
}

// probeAll tells whether a place that was down has a listener now.
func (p *prober) probeAll(ctx context.Context, t times) bool {
	ctx, cancel := context.WithTimeout(ctx, t.ProbeTimeout)
	defer cancel()
	if p.workloadDown && p.dialer.ProbeWorkload(ctx) == nil {
		return true
	}
	return p.probe(ctx, func(place) bool { return true })
}

// probe tells whether one of the chosen places that were down has a listener now, and
// notes those that are down.
func (p *prober) probe(ctx context.Context, chosen func(place) bool) bool {
	for protocol, at := range p.places {
		if !chosen(at) {
			continue
		}
		if err := p.dialer.Probe(ctx, at.route); err != nil {
			p.places[protocol] = place{at.route, at.down || hubconn.Unreachable(err)}
			continue
		}
		if at.down {
			p.found = &at.route
			return true
		}
	}
	return false
}

// pause waits before the next attempt. It returns early, with found, if the prober finds a
// listener. It fails if ctx ends.
func (l *Link) pause(ctx context.Context, wait time.Duration) (found bool, err error) {
	attempt := time.NewTimer(wait)
	defer attempt.Stop()
	l.prober.confirm(ctx, l.t)
	for {
		probe := time.NewTimer(l.prober.interval(l.t))
		select {
		case <-ctx.Done():
			probe.Stop()
			return false, ctx.Err()
		case <-attempt.C:
			probe.Stop()
			return false, nil
		case <-probe.C:
		}
		l.state.turned()
		if l.prober.probeAll(ctx, l.t) {
			break
		}
	}
	// All modules of a site find their hub at the same time.
	jitter := time.NewTimer(rand.N(l.t.ProbeJitter)) //nolint:gosec // G404: jitter, not a secret
	defer jitter.Stop()
	select {
	case <-ctx.Done():
		return true, ctx.Err()
	case <-jitter.C:
		return true, nil
	}
}

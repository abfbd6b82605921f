package module

import (
	"slices"
	"time"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/report"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
)

// totalsInterval is the least time between two reports of nothing but counters, which
// change all the time.
const totalsInterval = 15 * time.Minute

// state returns what is reported in addition to the configuration. The caller holds mu.
func (m *module) state(c hublink.Connection, inForce twin.Settings, o twin.Outcome) report.State {
	reasons := o.Reasons()
	for _, code := range m.observer.degraded() {
		reasons = append(reasons, reason.Code(code))
	}
	if inForce.Tunnels.Max > m.mostTunnels {
		reasons = append(reasons, reason.LimitDescriptors)
	}
	if m.since.IsZero() || !slices.Equal(reasons, m.reasons) {
		m.reasons, m.since = reasons, time.Now()
	}
	hub, totals := m.observer.hub(), report.Totals(m.tunnels.Totals())
	return report.State{
		Version: buildinfo.Version, Reasons: reasons, Since: m.since, Stopped: m.observer.draining.Load() != nil,
		Hub: report.Hub{
			Protocol: string(c.Protocol), ConnectedSince: hub.Since, Reconnects: hub.Reconnects, TokenExpires: hub.TokenExpires,
		},
		Proxy: proxyInForce(*m.policy.proxy.Load()), Cameras: m.cameraStates(inForce), Totals: &totals,
	}
}

func proxyInForce(p config.RemoteProxy) *report.Proxy {
	if p.Origin == config.ProxyNone {
		return nil
	}
	return &report.Proxy{Origin: p.Origin, Host: p.Host, Auth: p.Auth}
}

func (m *module) cameraStates(inForce twin.Settings) map[string]report.CameraStatus {
	open := make(map[string]int)
	for _, t := range m.tunnels.Tunnels() {
		if t.Open {
			open[t.Camera]++
		}
	}
	states := make(map[string]report.CameraStatus, len(inForce.Cameras))
	for _, c := range inForce.Cameras {
		s := m.health.of(c)
		s.Open = open[c.Name]
		states[c.Name] = s
	}
	return states
}

// isTooEarly tells whether a patch of the reported properties holds nothing but
// counters, less than totalsInterval after the last report of counters. The caller
// holds mu.
func (m *module) isTooEarly(patch map[string]any, now time.Time) bool {
	if patch["totals"] == nil {
		return false
	}
	if len(patch) == 1 && now.Sub(m.totalsAt) < totalsInterval {
		return true
	}
	m.totalsAt = now
	return false
}

// activity is a snapshot of what is reported of tunnels and cameras: two snapshots
// differ if a report is due.
type activity struct {
	tunnels     int   // open or being opened
	cameraState int64 // changes so far
	totals      tunnel.Totals
}

func (m *module) activity() activity {
	return activity{m.tunnels.Len(), m.health.count(), m.tunnels.Totals()}
}

// reportSchedule decides when a change of activity is reported. Its zero value, with an
// interval, has reported nothing yet.
type reportSchedule struct {
	interval time.Duration // least time between two reports of tunnels and cameras
	reported activity
	at       time.Time // of that report
}

// due tells whether a is to be reported now, and then takes it as reported.
func (r *reportSchedule) due(a activity, now time.Time) bool {
	counters := r.reported
	counters.totals.Failed, counters.totals.BytesUp, counters.totals.BytesDown = a.totals.Failed, a.totals.BytesUp, a.totals.BytesDown
	interval := r.interval
	if a == counters { // nothing else has changed
		interval = totalsInterval
	}
	if a == r.reported || now.Sub(r.at) < interval {
		return false
	}
	r.reported, r.at = a, now
	return true
}

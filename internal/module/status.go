package module

import (
	"slices"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/module/report"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
)

// totalsTime is from one time that the hub hears of counters alone, which change all the
// time, to the next.
const totalsTime = 15 * time.Minute

// state is what is reported beside the configuration. The caller holds mu.
func (m *module) state(c edge.Connection, inForce twin.Settings, o twin.Outcome) report.State {
	reasons := o.Reasons()
	for _, code := range m.seen.degraded() {
		reasons = append(reasons, reason.Code(code))
	}
	if m.since.IsZero() || !slices.Equal(reasons, m.reasons) {
		m.reasons, m.since = reasons, time.Now()
	}
	hub, totals := m.seen.hub(), report.Totals(m.tunnels.Totals())
	return report.State{
		Version: Version, Reasons: reasons, Since: m.since, Stopped: m.seen.draining.Load() != nil,
		Hub: report.Hub{
			Protocol: string(c.Protocol), ConnectedSince: hub.Since, Reconnects: hub.Reconnects, TokenExpires: hub.TokenExpires,
		},
		Proxy: effective(*m.policy.proxy.Load()), Cameras: m.cameraStates(inForce), Totals: &totals,
	}
}

func effective(p config.RemoteProxy) *report.Proxy {
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
// counters, less than totalsTime after the last report of counters. The caller holds mu.
func (m *module) isTooEarly(patch map[string]any, now time.Time) bool {
	if patch["totals"] == nil {
		return false
	}
	if len(patch) == 1 && now.Sub(m.totalsAt) < totalsTime {
		return true
	}
	m.totalsAt = now
	return false
}

// signs differ when what the hub is told of tunnels and cameras does.
type signs struct {
	tunnels int // open or being opened
	looks   int64
	totals  tunnel.Totals
}

func (m *module) signs() signs {
	return signs{m.tunnels.Len(), m.health.count(), m.tunnels.Totals()}
}

// notices is what the hub was told of signs, and when; nothing yet if both are zero.
type notices struct {
	pace time.Duration // of tunnels and cameras
	told signs
	at   time.Time
}

// due tells whether it is time that the hub hears of these signs, and takes it that it
// does then.
func (n *notices) due(s signs, now time.Time) bool {
	counters := n.told
	counters.totals.Failed, counters.totals.BytesUp, counters.totals.BytesDown = s.totals.Failed, s.totals.BytesUp, s.totals.BytesDown
	wait := n.pace
	if s == counters {
		wait = totalsTime
	}
	if s == n.told || now.Sub(n.at) < wait {
		return false
	}
	n.told, n.at = s, now
	return true
}

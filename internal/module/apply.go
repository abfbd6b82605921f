package module

import (
	"reflect"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/wire/wsconn"
)

// apply puts settings in force, and ends only the tunnels that they forbid. The order
// matters:
//   - The rules for new tunnels change before End is called. A tunnel that the old rules
//     have admitted is in the set by then, so that End finds it.
//   - Limit, which enables tunnels, comes after the other rules: no tunnel opens under only
//     some rules of the first twin.
func (m *module) apply(next twin.Settings) {
	var last twin.Settings
	if m.inForce != nil {
		last = *m.inForce
	}
	m.level.set(next.Log.Level)
	m.policy.setRemotes(remotes(next.Remotes))
	m.applyProxy(last.Proxy, next.Proxy)
	m.cameras.Replace(next.Cameras)
	m.health.retain(next.Cameras)
	live := liveness(next.Tunnels)
	m.liveness.Store(&live)
	m.tunnels.Pace(rates(next))
	m.tunnels.Limit(limits(next.Tunnels))

	changes := changed(last.Cameras, next.Cameras)
	for _, why := range []reason.Code{reason.CameraRemoved, reason.CameraChanged, reason.CameraDisabled} {
		m.tunnels.End(func(t tunnel.Info) bool { return changes[t.Camera] == why }, why)
	}
	if !reflect.DeepEqual(last.Remotes, next.Remotes) {
		forbidden := func(t tunnel.Info) bool { _, err := m.policy.allow(t.URL); return err != nil }
		m.tunnels.End(forbidden, reason.PolicyRemote)
	}
}

// applyProxy replaces the proxy, and logs if a changed one is not sent the site's login.
func (m *module) applyProxy(last, next twin.Proxy) {
	inForce, err := m.policy.setProxy(next.URL, next.NoProxy)
	switch {
	case err != nil: // package twin rejects such a proxy
		m.log.Error().Err(err).Str("reason", string(reason.ConfigProxy)).Msg("proxy not changed")
	case inForce.OtherLogin && next.URL != last.URL:
		m.log.Warn().Str("proxy", inForce.Host).Msg("the twin's proxy is sent no login: the site's login belongs to another host; see RTSPTUNNEL_PROXY_HOST")
	}
}

func limits(t twin.Tunnels) tunnel.Limits {
	return tunnel.Limits{
		Enabled: t.Enabled, Max: t.Max,
		CameraTimeout: t.CameraTimeout, RemoteTimeout: t.RemoteTimeout, OpenTimeout: t.OpenTimeout,
		IdleTimeout: t.IdleTimeout, MaxAge: t.MaxAge,
	}
}

func rates(s twin.Settings) tunnel.Rates {
	r := tunnel.Rates{All: s.Tunnels.MaxBitsPerSecond, ByCamera: make(map[string]int64)}
	for _, c := range s.Cameras {
		r.ByCamera[c.Name] = c.MaxBitsPerSecond
	}
	return r
}

// liveness returns how a tunnel detects a dead remote end. 0 in the twin disables the
// stall timeout.
func liveness(t twin.Tunnels) wsconn.Liveness {
	stall := t.StallTimeout
	if stall == 0 {
		stall = -1
	}
	return wsconn.Liveness{Ping: t.Ping, Stall: stall}
}

// remotes returns the allowed hosts. An invalid pattern, which package twin rejects,
// would allow none.
func remotes(r twin.Remotes) policy.Remotes {
	if r.Any {
		return policy.Any()
	}
	parsed, _ := policy.ParseRemotes(r.Patterns)
	return parsed
}

// changed returns by name why the tunnels to a camera end: the camera is removed or
// disabled, or its address or local port has changed. A change of another property ends
// no tunnel.
func changed(last, next []camera.Camera) map[string]reason.Code {
	now := make(map[string]camera.Camera, len(next))
	for _, c := range next {
		now[c.Name] = c
	}
	why := make(map[string]reason.Code)
	for _, before := range last {
		switch c, there := now[before.Name]; {
		case !there:
			why[before.Name] = reason.CameraRemoved
		case !c.Enabled:
			why[before.Name] = reason.CameraDisabled
		case c.Host != before.Host || c.Port != before.Port || c.LocalPort != before.LocalPort:
			why[before.Name] = reason.CameraChanged
		}
	}
	return why
}

package module

import "rtsptunnel/internal/module/twin"

// What the limit of open files (RLIMIT_NOFILE) is divided into.
const (
	descriptorsOfTunnel = 2 // the camera's connection and the remote endpoint's

	// descriptorReserve is for standard streams and the runtime (6), the health endpoints
	// (33), the hub connection with its renewal, probes and workload API (5), and for
	// look-ups, address checks and files during dials (12).
	descriptorReserve = 56
)

// tunnelsWithin returns the number of tunnels that a limit of open files allows, at least 1.
func tunnelsWithin(limit uint64) int {
	const most = 1 << 30 // more than any limit of the twin
	if limit < descriptorReserve+descriptorsOfTunnel {
		return 1
	}
	return int(min(most, (limit-descriptorReserve)/descriptorsOfTunnel))
}

// held returns the settings with tunnels.max held to what the limit of open files allows.
func (m *module) held(s twin.Settings) twin.Settings {
	s.Tunnels.Max = min(s.Tunnels.Max, m.mostTunnels)
	return s
}

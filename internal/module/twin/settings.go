package twin

import (
	"maps"
	"slices"
	"time"

	"rtsptunnel/internal/module/camera"
)

// Remotes are the hosts to which tunnels may lead. The zero value is none.
type Remotes struct {
	Any      bool              // then there are no patterns
	Patterns map[string]string // host, *.host or either with :port, by label
}

// Tunnels is what holds for all tunnels. Zero means never or no limit, where 0 is
// allowed.
type Tunnels struct {
	Enabled bool
	Max     int // open at once

	CameraTimeout, RemoteTimeout, OpenTimeout time.Duration

	Ping, IdleTimeout, StallTimeout, MaxAge time.Duration

	MaxBitsPerSecond int64 // together
}

// Health is how cameras are looked after while no tunnel is open.
type Health struct {
	Enabled         bool
	Interval        time.Duration
	ProbeBeforeOpen bool
}

// Proxy is the site's proxy as the twin names it; it never has a login.
type Proxy struct {
	URL     string // empty for the environment's
	NoProxy string // hosts, domains and networks, with commas between
}

// Telemetry is when messages with the module's figures are sent.
type Telemetry struct {
	Enabled  bool
	Interval time.Duration
}

// Log is what is logged.
type Log struct {
	Level string // by the names of edge agent's RuntimeLogLevel
}

// Settings is the configuration in force.
type Settings struct {
	Version int64 // the desired $version it is from; 0 before the first

	Cameras   []camera.Camera // sorted by name, each local port once
	Remotes   Remotes
	Tunnels   Tunnels
	Health    Health
	Proxy     Proxy
	Telemetry Telemetry
	Log       Log
}

// Defaults is what is in force with a twin that says nothing: no cameras, any remote
// endpoint, and what the schema has.
func Defaults() Settings {
	s := Settings{Remotes: Remotes{Any: true}}
	for _, section := range sections {
		set(s.fields(section), theSchema().defaults[section])
	}
	return s
}

// The sections of the desired properties, in the order in which they are told.
const (
	camerasSection = "cameras"
	remotesSection = "remoteEndpoints"
)

var sections = []string{camerasSection, remotesSection, "tunnels", "health", "proxy", "telemetry", "log"}

// field is where the value of a property is kept: an int, an int64, a bool, a string
// or, for seconds, a time.Duration.
type field struct {
	name string
	at   any
}

// fields are the properties of a section; none of the two that are maps by name.
func (s *Settings) fields(section string) []field {
	switch section {
	case "tunnels":
		t := &s.Tunnels
		return []field{
			{"enabled", &t.Enabled},
			{"max", &t.Max},
			{"cameraTimeoutSeconds", &t.CameraTimeout},
			{"remoteTimeoutSeconds", &t.RemoteTimeout},
			{"openTimeoutSeconds", &t.OpenTimeout},
			{"pingSeconds", &t.Ping},
			{"idleTimeoutSeconds", &t.IdleTimeout},
			{"stallTimeoutSeconds", &t.StallTimeout},
			{"maxAgeSeconds", &t.MaxAge},
			{"maxBitsPerSecond", &t.MaxBitsPerSecond},
		}
	case "health":
		return []field{
			{"enabled", &s.Health.Enabled},
			{"intervalSeconds", &s.Health.Interval},
			{"probeBeforeOpen", &s.Health.ProbeBeforeOpen},
		}
	case "proxy":
		return []field{{"url", &s.Proxy.URL}, {"noProxy", &s.Proxy.NoProxy}}
	case "telemetry":
		return []field{{"enabled", &s.Telemetry.Enabled}, {"intervalSeconds", &s.Telemetry.Interval}}
	case "log":
		return []field{{"level", &s.Log.Level}}
	default:
		return nil
	}
}

// cameraFields are the properties of one entry of the desired property cameras.
func cameraFields(c *camera.Camera) []field {
	return []field{
		{"host", &c.Host},
		{"port", &c.Port},
		{"localPort", &c.LocalPort},
		{"maxTunnels", &c.MaxTunnels},
		{"enabled", &c.Enabled},
		{"maxBitsPerSecond", &c.MaxBitsPerSecond},
		{"expectedOffline", &c.ExpectedOffline},
	}
}

// set puts values into their fields; what is not there stays.
func set(fields []field, values map[string]any) {
	for _, f := range fields {
		value, ok := values[f.name]
		if !ok {
			continue
		}
		switch at := f.at.(type) {
		case *string:
			*at, _ = value.(string)
		case *bool:
			*at, _ = value.(bool)
		case *int:
			n, _ := value.(int64)
			*at = int(n)
		case *int64:
			*at, _ = value.(int64)
		case *time.Duration:
			n, _ := value.(int64)
			*at = time.Duration(n) * time.Second
		}
	}
}

// get is the opposite of set: strings, booleans and int64s, as the twin has them.
func get(fields []field) map[string]any {
	values := make(map[string]any, len(fields))
	for _, f := range fields {
		switch at := f.at.(type) {
		case *string:
			values[f.name] = *at
		case *bool:
			values[f.name] = *at
		case *int:
			values[f.name] = int64(*at)
		case *int64:
			values[f.name] = *at
		case *time.Duration:
			values[f.name] = int64(*at / time.Second)
		}
	}
	return values
}

// Section is a section as it is in force, as the twin would have it: the value of its
// acknowledgement. compact leaves out what has its default anyway; a camera's host
// and local port are always told.
func (s Settings) Section(name string, compact bool) map[string]any {
	switch name {
	case camerasSection:
		cameras := make(map[string]any, len(s.Cameras))
		for _, c := range s.Cameras {
			cameras[c.Name] = cameraValue(c, compact)
		}
		return cameras
	case remotesSection:
		remotes := make(map[string]any, len(s.Remotes.Patterns))
		for label, pattern := range s.Remotes.Patterns {
			remotes[label] = pattern
		}
		return remotes
	}
	values := get(s.fields(name))
	if compact {
		leaveOut(values, theSchema().defaults[name])
	}
	return values
}

func cameraValue(c camera.Camera, compact bool) map[string]any {
	values := get(cameraFields(&c))
	if compact {
		leaveOut(values, theSchema().defaults["camera"])
	}
	return values
}

func leaveOut(values, defaults map[string]any) {
	maps.DeleteFunc(values, func(name string, value any) bool { return defaults[name] == value })
}

func sortedNames(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

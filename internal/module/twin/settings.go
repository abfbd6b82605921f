package twin

import (
	"maps"
	"slices"
	"time"

	"rtsptunnel/internal/module/camera"
)

// Remotes are the hosts to which tunnels may lead. The zero value allows none.
type Remotes struct {
	Any      bool              // any host; Patterns is empty then
	Patterns map[string]string // host, *.host or either with :port, by label
}

// Tunnels are the settings that apply to all tunnels. Where the schema allows 0, it means
// never or no limit.
type Tunnels struct {
	Enabled bool
	Max     int // open at once

	CameraTimeout, RemoteTimeout, OpenTimeout time.Duration

	Ping, IdleTimeout, StallTimeout, MaxAge time.Duration

	MaxBitsPerSecond int64 // for all tunnels together
}

// Health says how cameras are probed while no tunnel is open. It has no effect yet.
type Health struct {
	Enabled         bool
	Interval        time.Duration
	ProbeBeforeOpen bool
}

// Proxy is the site's proxy as the twin names it, always without a login.
type Proxy struct {
	URL     string // empty for the environment's proxy
	NoProxy string // comma-separated hosts, domains and networks
}

// Telemetry says whether and how often the module sends telemetry messages. It has no
// effect yet.
type Telemetry struct {
	Enabled  bool
	Interval time.Duration
}

// Log says what is logged.
type Log struct {
	Level string // a name as in edge agent's RuntimeLogLevel
}

// Settings is the configuration in force.
type Settings struct {
	Version int64 // the desired $version that it comes from; 0 before the first

	Cameras   []camera.Camera // sorted by name, each local port once
	Remotes   Remotes
	Tunnels   Tunnels
	Health    Health
	Proxy     Proxy
	Telemetry Telemetry
	Log       Log
}

// Defaults returns the configuration for an empty twin: no cameras, any remote endpoint,
// and the schema's defaults.
func Defaults() Settings {
	s := Settings{Remotes: Remotes{Any: true}}
	for _, section := range sections {
		set(s.fields(section), theSchema().defaults[section])
	}
	return s
}

// The sections of the desired properties, in the order in which they are reported.
const (
	camerasSection = "cameras"
	remotesSection = "remoteEndpoints"
)

var sections = []string{camerasSection, remotesSection, "tunnels", "health", "proxy", "telemetry", "log"}

// field connects a property with the variable that stores its value.
type field struct {
	name string
	at   any // *int, *int64, *bool, *string, *[]string or, for seconds, *time.Duration
}

// fields returns the properties of a section; none for cameras and remote endpoints,
// which are maps by name.
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

// cameraFields returns the properties of one entry of the desired property cameras. Only
// the names of its streams are among them.
func cameraFields(c *camera.Camera) []field {
	return []field{
		{"host", &c.Host},
		{"port", &c.Port},
		{"localPort", &c.LocalPort},
		{"maxTunnels", &c.MaxTunnels},
		{"enabled", &c.Enabled},
		{"maxBitsPerSecond", &c.MaxBitsPerSecond},
		{"expectedOffline", &c.ExpectedOffline},
		{"streams", &c.Streams},
	}
}

// set writes values into their fields. Fields without a value stay unchanged.
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

// get is the inverse of set. Values are strings, booleans and int64s, as in a twin, and
// lists of names, of which there is no empty one.
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
		case *[]string:
			if len(*at) > 0 {
				values[f.name] = *at
			}
		}
	}
	return values
}

// Section returns a section of the configuration in force in the twin's terms, as the
// value of its acknowledgement. If compact is set, values equal to their defaults are
// left out. A camera's host and local port have no default and are always included. Of its
// streams only the names are.
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

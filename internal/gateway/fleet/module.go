package fleet

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/hub/hubclient"
)

// row is one twin in the answer to a query. What a device writes may be anything.
type row struct {
	Device    string          `json:"deviceId"`
	Module    string          `json:"moduleId"`
	State     string          `json:"connectionState"`
	Active    string          `json:"lastActivityTime"`
	Cameras   json.RawMessage `json:"cameras"`      // desired
	Status    json.RawMessage `json:"cameraStatus"` // reported
	Condition json.RawMessage `json:"condition"`    // reported: the module's state
}

func (r row) identity() hubclient.Identity {
	return hubclient.Identity{Device: r.Device, Module: r.Module}
}

// module is what the hub last said about a module, or about a device with its own cameras.
type module struct {
	cameras   []desired.Camera // in force, sorted by name
	hash      uint64           // of the desired cameras, as the hub sent them
	fault     string           // the first fault in them; empty if there is none
	connected bool
	since     time.Time // of connected; may be zero
	condition string
	statuses  map[string]status // by camera
	missing   int               // reads of the hub in a row without this module
}

// status is what a module reports about a camera.
type status struct {
	State      string      `json:"state"`
	Since      time.Time   `json:"since"`
	Open       int         `json:"open"`
	LastReason reason.Code `json:"lastReason"`
}

var seed = maphash.MakeSeed()

// newModule returns the module of a row. last is the module before, nil if it is new. Where
// the desired cameras have faults, the cameras before stay, as in the module.
func newModule(r row, last *module, now time.Time) *module {
	m := &module{hash: maphash.Bytes(seed, r.Cameras), connected: r.State == "Connected"}
	if last != nil && last.hash == m.hash {
		m.cameras, m.fault = last.cameras, last.fault
	} else {
		m.readCameras(r.Cameras, last)
	}
	switch {
	case last == nil && !m.connected:
		m.since = hubTime(r.Active)
	case last == nil:
	case last.connected == m.connected:
		m.since = last.since
	default:
		m.since = now
	}
	var text string
	_ = json.Unmarshal(r.Condition, &text)
	m.condition = known(text, "healthy", "degraded", "stopped")
	m.readStatuses(r.Status)
	return m
}

func (m *module) readCameras(value json.RawMessage, last *module) {
	if len(value) == 0 {
		return
	}
	properties := append(append([]byte(`{"cameras":`), value...), '}')
	inForce, rejected, err := desired.Cameras(properties)
	if err != nil {
		m.fault = err.Error()
		if last != nil {
			m.cameras = last.cameras
		}
		return
	}
	m.cameras = inForce
	for _, name := range slices.Sorted(maps.Keys(rejected)) {
		if m.fault == "" {
			m.fault = rejected[name].String()
		}
		if before := last.camera(name); before != nil && !slices.ContainsFunc(m.cameras, func(c desired.Camera) bool { return c.LocalPort == before.LocalPort }) {
			m.cameras = append(m.cameras, *before)
		}
	}
	slices.SortFunc(m.cameras, func(a, b desired.Camera) int { return strings.Compare(a.Name, b.Name) })
}

// camera returns the camera with a name, nil if there is none.
func (m *module) camera(name string) *desired.Camera {
	if m == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(m.cameras, name, func(c desired.Camera, name string) int { return strings.Compare(c.Name, name) })
	if !found {
		return nil
	}
	return &m.cameras[i]
}

// readStatuses reads the reported states of the module's cameras. It ignores what has
// another form.
func (m *module) readStatuses(value json.RawMessage) {
	var entries map[string]json.RawMessage
	if json.Unmarshal(value, &entries) != nil {
		return
	}
	for name, entry := range entries {
		var s status
		if m.camera(name) == nil || json.Unmarshal(entry, &s) != nil {
			continue
		}
		s.State = known(s.State, "ok", "unreachable", "offlineExpected")
		if s.LastReason.Text() == string(s.LastReason) { // not one of ours
			s.LastReason = ""
		}
		s.Open = max(s.Open, 0)
		if m.statuses == nil {
			m.statuses = make(map[string]status, len(m.cameras))
		}
		m.statuses[strings.Clone(name)] = s
	}
}

// report returns what is known about a camera.
func (m *module) report(camera string) Report {
	s := m.statuses[camera]
	return Report{
		Known: true, Connected: m.connected, Since: m.since, Module: m.condition,
		State: s.State, StateSince: s.Since, LastReason: s.LastReason, OpenTunnels: s.Open,
	}
}

// known returns the text if it is one of these, and otherwise "".
func known(text string, these ...string) string {
	if i := slices.Index(these, text); i >= 0 {
		return these[i]
	}
	return ""
}

// hubTime reads a time of the hub, which may lack the zone. Year 1, or no time, is zero.
func hubTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1 {
			return t
		}
	}
	return time.Time{}
}

// Package twin is the module twin as types: it parses desired properties, decides
// what of them comes into force, and builds the reported properties that say so.
//
// The rules are:
//   - cameras are a map by name, never an array, so that layered deployments merge
//     them leaf by leaf;
//   - a camera is taken whole or not at all: one with a fault leaves the last good
//     one of its name in force, and the others alone;
//   - a section that is not an object leaves all of it in force;
//   - every fault is reported, with its path, in the acknowledgement.
//
// The package is pure: it does not know the transport, nor when or how often a twin
// changes. A line belongs here when it reads or writes the twin's JSON.
package twin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DefaultPort is a camera's port if the twin names none (RFC 2326, 3.2: rtsp).
const DefaultPort = 554

// Camera is one entry of the desired property cameras.
type Camera struct {
	Name      string
	Host      string
	Port      int // 1 to 65535
	LocalPort int // 1 to 65535; the camera's port if the twin names none
}

// Twin is one reading of a module's whole twin.
type Twin struct {
	Version  int64           // desired.$version
	cameras  json.RawMessage // desired.cameras; nil if there is none
	reported []string        // the names that stand in reported.cameras.value
}

// Parse reads the document that the hub gives for a twin: {"desired": {...},
// "reported": {...}}. An error means that nothing in it can be believed.
func Parse(doc []byte) (Twin, error) {
	var t struct {
		Desired *struct {
			Version *int64          `json:"$version"`
			Cameras json.RawMessage `json:"cameras"`
		} `json:"desired"`
		Reported struct {
			Cameras json.RawMessage `json:"cameras"`
		} `json:"reported"`
	}
	if err := json.Unmarshal(doc, &t); err != nil {
		return Twin{}, fmt.Errorf("parse twin: %w", err)
	}
	if t.Desired == nil || t.Desired.Version == nil {
		return Twin{}, errors.New("parse twin: no desired properties with a $version")
	}
	return Twin{
		Version:  *t.Desired.Version,
		cameras:  t.Desired.Cameras,
		reported: reportedNames(t.Reported.Cameras),
	}, nil
}

// reportedNames are the cameras that an earlier acknowledgement named. Somebody
// else's idea of reported.cameras has none.
func reportedNames(ack json.RawMessage) []string {
	var a struct {
		Value map[string]json.RawMessage `json:"value"`
	}
	if json.Unmarshal(ack, &a) != nil {
		return nil
	}
	names := make([]string, 0, len(a.Value))
	for name := range a.Value {
		names = append(names, name)
	}
	return names
}

// Fault is one value of the desired properties that was not taken.
type Fault struct {
	Path string // cameras/front/port
	Text string // what is wrong and what is allowed
}

// String is path and text.
func (f Fault) String() string { return f.Path + ": " + f.Text }

// Cameras decides which cameras are in force, given those that were: sorted by
// name, each local port once. The later of two names with one local port is the
// fault.
func (t Twin) Cameras(inForce []Camera) ([]Camera, []Fault) {
	if t.cameras == nil {
		return nil, nil
	}
	entries, err := members(t.cameras)
	if err != nil {
		return inForce, []Fault{{"cameras", "must be an object with a member for each camera"}}
	}
	last := make(map[string]Camera, len(inForce))
	for _, c := range inForce {
		last[c.Name] = c
	}
	var cameras []Camera
	var faults []Fault
	owner := make(map[int]string)
	for _, e := range entries {
		c, faulty := parseCamera(e)
		if other, taken := owner[c.LocalPort]; len(faulty) == 0 && taken {
			faulty = []Fault{{"cameras/" + e.name + "/localPort", fmt.Sprintf("%d is camera %s's already", c.LocalPort, other)}}
		}
		faults = append(faults, faulty...)
		if len(faulty) > 0 {
			var had bool
			if c, had = last[e.name]; !had || owner[c.LocalPort] != "" {
				continue
			}
		}
		owner[c.LocalPort] = c.Name
		cameras = append(cameras, c)
	}
	return cameras, faults
}

// member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members are an object's members, sorted by name, without the hub's own ($...).
func members(object json.RawMessage) ([]member, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("null")
	}
	sorted := make([]member, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(name, "$") {
			sorted = append(sorted, member{name, m[name]})
		}
	}
	return sorted, nil
}

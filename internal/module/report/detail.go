package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/twin"
)

const (
	goodSize = 8 << 10 // bytes of JSON
	maxSize  = 24 << 10

	maxDescription = 1024 // bytes of ad, without the count of omitted faults; the hub allows 4 KB a string
	maxTexts       = 512  // bytes of ad up to which faults have their texts
)

// detail limits the contents of the reported section.
type detail struct {
	size      int  // bytes of JSON that are small enough for this level of detail
	compact   bool // acknowledgements leave out defaults
	streams   bool // the acknowledgement of cameras names their streams
	truncated bool
	entries   int // maximum number of cameras and of remote endpoints
	list      int // maximum number of errors and of unknown keys
}

// details lists the levels of detail in the order in which Build tries them. The last one
// always fits.
var details = []detail{
	{size: goodSize, entries: 512, list: 32, streams: true},
	{size: maxSize, entries: 512, list: 32, streams: true, compact: true},
	{size: maxSize, entries: 512, list: 32, compact: true, truncated: true},
	{size: maxSize, entries: 256, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 192, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 128, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 96, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 64, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 48, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 32, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 16, list: 16, compact: true, truncated: true},
	{size: maxSize, entries: 1, list: 8, compact: true, truncated: true},
}

func (d detail) config(inForce twin.Settings, o twin.Outcome) config {
	c := config{Applied: inForce.Version, UnknownKeys: o.UnknownKeys[:min(len(o.UnknownKeys), d.list)], NotYet: o.NotYet}
	if len(o.Faults) > 0 {
		c.Rejected = o.Version
	}
	for _, f := range o.Faults[:min(len(o.Faults), d.list)] {
		c.Errors = append(c.Errors, fault{f.Path, f.Code})
	}
	return c
}

// cameraStatus returns the states of all cameras. If there are too many, it prefers
// cameras with open tunnels, then cameras with problems.
func (d detail) cameraStatus(state State, inForce twin.Settings) map[string]CameraStatus {
	cameras := slices.Clone(inForce.Cameras)
	if len(cameras) > d.entries {
		slices.SortStableFunc(cameras, func(a, b camera.Camera) int {
			return cmp.Compare(state.Cameras[b.Name].importance(), state.Cameras[a.Name].importance())
		})
		cameras = cameras[:d.entries]
	}
	status := make(map[string]CameraStatus, len(cameras))
	for _, c := range cameras {
		s := state.Cameras[c.Name]
		s.LocalPort, s.Since = c.LocalPort, second(s.Since)
		status[c.Name] = s
	}
	return status
}

// importance orders cameras for a report that cannot contain all of them.
func (c CameraStatus) importance() int {
	switch {
	case c.Open > 0:
		return 2
	case c.State != "" && c.State != "ok" && c.State != "offlineExpected":
		return 1
	default:
		return 0
	}
}

// ack is the acknowledgement of one desired section.
type ack struct {
	Value       map[string]any `json:"value"`
	Code        int            `json:"ac"`
	Version     int64          `json:"av"`
	Description string         `json:"ad"`
}

func (d detail) acks(inForce twin.Settings, o twin.Outcome) map[string]ack {
	acks := make(map[string]ack, len(o.Sections))
	for _, name := range o.Sections {
		a := ack{Value: d.value(inForce, name), Code: http.StatusOK, Version: o.Version}
		if name == "cameras" {
			a.Description = fmt.Sprintf("cameras in force: %d", len(inForce.Cameras))
		}
		if faults := o.In(name); len(faults) > 0 {
			a.Code, a.Description = http.StatusBadRequest, describe(faults)
		}
		acks[name] = a
	}
	return acks
}

// value returns a section in force. Of a section with too many entries, which can only be
// cameras or remote endpoints, it returns the first by name.
func (d detail) value(inForce twin.Settings, name string) map[string]any {
	value := inForce.Section(name, d.compact)
	if !d.streams && name == "cameras" {
		for _, camera := range value {
			values, _ := camera.(map[string]any)
			delete(values, "streams")
		}
	}
	if len(value) <= d.entries {
		return value
	}
	for _, key := range slices.Sorted(maps.Keys(value))[d.entries:] {
		delete(value, key)
	}
	return value
}

// describe lists faults for an operator who reads the twin in a portal. It includes the
// faults' texts while there is room, then only paths, so that most faults are named, and
// then the number of the rest. The text is ASCII, because faults are.
func describe(faults []twin.Fault) string {
	var text strings.Builder
	for i, f := range faults {
		part := f.String()
		if text.Len()+len(part) > maxTexts {
			part = f.Path
		}
		if text.Len()+len(part) > maxDescription {
			_, _ = fmt.Fprintf(&text, "; and %d more", len(faults)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(part)
	}
	return text.String()
}

package twin

import (
	"slices"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

const maxUnknown = 64 // unknown keys that an Outcome lists

// Fault is one value of the desired properties that was rejected. It never repeats the
// value.
type Fault struct {
	Path    string      // cameras/front/port
	Code    reason.Code // CFG_...
	Text    string      // why the value was rejected and what is allowed
	InForce string      // what is in force instead
}

// String returns path and text.
func (f Fault) String() string { return f.Path + ": " + f.Text }

// Warning is a value that was accepted but should be written differently.
type Warning struct {
	Path string
	Text string
}

// Outcome is the result of applying desired properties, apart from the configuration in
// force.
type Outcome struct {
	Version     int64     // desired.$version
	Sections    []string  // the known sections that are present
	Faults      []Fault   // in the order of Sections, and by path
	Warnings    []Warning // numbers and booleans written as strings
	UnknownKeys []string  // paths that the module does not know; at most 64
	NotYet      []string  // paths of accepted properties without effect in this version; * for any camera

	taken map[string]bool // paths whose values in force come from these properties
}

// IsTaken reports whether the value in force of a property (log/level,
// cameras/front/port) comes from these desired properties. If not, it is a default or the
// previous value.
func (o Outcome) IsTaken(path string) bool { return o.taken[path] }

// In returns the faults of one section.
func (o Outcome) In(section string) []Fault {
	var faults []Fault
	for _, f := range o.Faults {
		if within(f.Path, section) || f.Path == desiredPath {
			faults = append(faults, f)
		}
	}
	return faults
}

func within(path, section string) bool {
	return path == section || strings.HasPrefix(path, section+"/")
}

func sortFaults(faults []Fault) {
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Path, b.Path) })
}

// Reasons returns the codes of the faults, sorted and without duplicates.
func (o Outcome) Reasons() []reason.Code {
	codes := make([]reason.Code, 0, len(o.Faults))
	for _, f := range o.Faults {
		codes = append(codes, f.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func (o *Outcome) unknown(path string) {
	if len(o.UnknownKeys) < maxUnknown {
		o.UnknownKeys = append(o.UnknownKeys, path)
	}
}

// notYet records a key if it has no effect in this version.
func (o *Outcome) notYet(path string) {
	if slices.Contains(withoutEffect, path) && !slices.Contains(o.NotYet, path) {
		o.NotYet = append(o.NotYet, path)
	}
}

// withoutEffect lists the keys that are accepted but have no effect yet. Remove a line
// when you implement its effect.
var withoutEffect = []string{
	"cameras/*/expectedOffline",
	"health/enabled",
	"health/intervalSeconds",
	"health/probeBeforeOpen",
	"telemetry/enabled",
	"telemetry/intervalSeconds",
	reservedSection,
}

// reservedSection is the name of a section that a later version may define.
const reservedSection = "edgeService"

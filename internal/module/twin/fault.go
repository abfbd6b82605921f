package twin

import (
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

const (
	maxName    = 64 // bytes of a name that is not allowed, or not known, as it is told
	maxUnknown = 64 // unknown keys that are told
)

// Fault is one value of the desired properties that was not taken. It never holds
// the value.
type Fault struct {
	Path    string      // cameras/front/port
	Code    reason.Code // CFG_...
	Text    string      // what is wrong and what is allowed
	InForce string      // what is in force instead
}

// String is path and text.
func (f Fault) String() string { return f.Path + ": " + f.Text }

// Warning is a value that was taken, though it should be written in another way.
type Warning struct {
	Path string
	Text string
}

// Outcome is what became of the desired properties, beside what is in force.
type Outcome struct {
	Version     int64     // desired.$version
	Sections    []string  // of those that the module knows, the ones that are there
	Faults      []Fault   // in the order of Sections, and by path
	Warnings    []Warning // numbers and booleans as strings
	UnknownKeys []string  // paths of what the module does not know; at most 64
	NotYet      []string  // paths of what was taken and has no effect in this version; * for any camera

	taken map[string]bool // paths whose values in force are from these properties
}

// IsTaken tells whether the value in force of a property (log/level, cameras/front/port)
// is from these desired properties: neither a default nor what was in force before.
func (o Outcome) IsTaken(path string) bool { return o.taken[path] }

// In are the faults of one section.
func (o Outcome) In(section string) []Fault {
	var faults []Fault
	for _, f := range o.Faults {
		if within(f.Path, section) || f.Path == wholeSection {
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

// Reasons are the codes of the faults, each once, sorted.
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

// notYet tells of a key whose effect comes with a later version.
func (o *Outcome) notYet(path string) {
	if slices.Contains(withoutEffect, path) && !slices.Contains(o.NotYet, path) {
		o.NotYet = append(o.NotYet, path)
	}
}

// withoutEffect are the keys that are accepted and not yet heeded. Whoever builds
// the effect takes the line away.
var withoutEffect = []string{
	"cameras/*/expectedOffline",
	"health/enabled",
	"health/intervalSeconds",
	"health/probeBeforeOpen",
	"telemetry/enabled",
	"telemetry/intervalSeconds",
	reserved,
}

// reserved is the name of a section to come, whatever will be in it.
const reserved = "edgeService"

// printable is somebody else's name in a path: short, and ASCII.
func printable(name string) string {
	quoted := strconv.QuoteToASCII(name)
	if text := quoted[1 : len(quoted)-1]; len(text) <= maxName {
		return text
	}
	return quoted[1:1+maxName] + "..."
}

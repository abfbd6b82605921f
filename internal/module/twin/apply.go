package twin

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
)

// desiredPath is the path of a fault that concerns all desired properties.
const desiredPath = "desired"

// openTimeoutPath is the path of the fault for timeouts that do not fit together.
const openTimeoutPath = "tunnels/openTimeoutSeconds"

// Apply returns the configuration in force from now on: the twin's, and last where the
// twin has faults. last is nil before the first readable twin; then faults leave the
// defaults in force, and no remote endpoints.
func (t Twin) Apply(last *Settings) (Settings, Outcome) {
	a := applier{twin: t, last: last, next: Defaults(), out: Outcome{Version: t.Version, taken: make(map[string]bool)}}
	if t.tooLarge {
		return a.tooLarge()
	}
	a.next.Version = t.Version
	for _, section := range sections {
		value, ok := t.desired[section]
		if !ok {
			continue
		}
		a.out.Sections = append(a.out.Sections, section)
		switch section {
		case camerasSection:
			a.cameras(value)
		case remotesSection:
			a.remotes(value)
		default:
			a.section(section, value)
		}
	}
	for _, name := range sortedNames(t.desired) {
		switch {
		case name == reservedSection:
			a.out.notYet(name)
		case !slices.Contains(sections, name):
			a.out.unknown(desired.Printable(name))
		}
	}
	return a.next, a.out
}

// applier holds the state of one Apply.
type applier struct {
	twin Twin
	last *Settings
	next Settings
	out  Outcome
}

// lastGood returns the settings that replace values with faults. text names them for
// Fault.InForce.
func (a *applier) lastGood() (_ Settings, text string) {
	if a.last != nil {
		return *a.last, "the previous configuration stays in force"
	}
	s := Defaults()
	s.Remotes = Remotes{}
	return s, "the defaults are in force"
}

func (a *applier) tooLarge() (Settings, Outcome) {
	s, text := a.lastGood()
	for _, section := range sections {
		if _, ok := a.twin.desired[section]; ok {
			a.out.Sections = append(a.out.Sections, section)
		}
	}
	if a.twin.Version == 0 { // the document has none that can be read
		a.out.Version = s.Version
	}
	if a.twin.off {
		s.Tunnels.Enabled = false
		a.out.taken["tunnels/enabled"] = true
		text = "tunnels are switched off; otherwise " + text
	}
	a.out.Faults = []Fault{{
		Path: desiredPath, Code: reason.ConfigSize, InForce: text,
		Text: "the desired properties must have at most 32768 bytes, as the hub counts them",
	}}
	return s, a.out
}

// reject records why a value was rejected, and what is in force instead.
func (a *applier) reject(faults []Fault, inForce string) {
	for _, f := range faults {
		f.InForce = inForce
		a.out.Faults = append(a.out.Faults, f)
	}
}

// object checks one object against a part of the schema. It returns the object with
// strings converted to the numbers and booleans that they spell, and its faults. general
// is the object's path for NotYet.
func (a *applier) object(part, path, general string, value any) (map[string]any, []Fault) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, theSchema().check(part, value, path)
	}
	values, converted, unknown := theSchema().convert(part, object)
	for _, name := range unknown {
		a.out.unknown(path + "/" + name)
	}
	faults := theSchema().check(part, values, path)
	if len(faults) > 0 {
		return values, faults
	}
	for _, name := range converted {
		a.out.Warnings = append(a.out.Warnings, Warning{path + "/" + name, "is a string; it was converted to a number or boolean"})
	}
	for _, name := range sortedNames(values) {
		a.out.taken[path+"/"+name] = true
		a.out.notYet(general + "/" + name)
	}
	return values, nil
}

// section applies a section other than cameras and remoteEndpoints.
func (a *applier) section(name string, value any) {
	values, faults := a.object(name, name, name, value)
	if len(faults) == 0 {
		set(a.next.fields(name), values)
		faults = a.next.checkCombination(name)
	}
	for i := range faults {
		if faults[i].Path == "proxy/url" {
			faults[i].Code = reason.ConfigProxy
		}
	}
	if len(faults) == 0 {
		return
	}
	maps.DeleteFunc(a.out.taken, func(path string, _ bool) bool { return within(path, name) })
	good, text := a.lastGood()
	set(a.next.fields(name), get(good.fields(name)))
	if name == "tunnels" && values["enabled"] == false {
		a.next.Tunnels.Enabled = false
		a.out.taken["tunnels/enabled"] = true
		text = "tunnels are switched off anyway; otherwise " + text
	}
	a.reject(faults, text)
}

// checkCombination returns the faults of a section that the schema cannot express.
func (s *Settings) checkCombination(section string) []Fault {
	t := s.Tunnels
	if least := t.CameraTimeout + t.RemoteTimeout; section == "tunnels" && t.OpenTimeout < least {
		return []Fault{{
			Path: openTimeoutPath, Code: reason.ConfigRange,
			Text: fmt.Sprintf("must be at least the sum of cameraTimeoutSeconds and remoteTimeoutSeconds, which is %d, and at most 25", least/time.Second),
		}}
	}
	if section == "proxy" {
		if text := checkProxy(s.Proxy.URL); text != "" {
			return []Fault{{Path: "proxy/url", Code: reason.ConfigProxy, Text: text}}
		}
	}
	return nil
}

func (a *applier) remotes(value any) {
	faults := theSchema().check(remotesSection, value, remotesSection)
	patterns := make(map[string]string)
	if len(faults) == 0 {
		object, _ := value.(map[string]any)
		for label, pattern := range object {
			patterns[label], _ = pattern.(string)
		}
		for label, text := range checkRemotes(patterns) {
			faults = append(faults, Fault{Path: remotesSection + "/" + label, Code: reason.ConfigFormat, Text: text})
		}
		sortFaults(faults)
	}
	if len(faults) > 0 {
		good, text := a.lastGood()
		a.next.Remotes = good.Remotes
		if a.last == nil {
			text = "no remote endpoint is allowed"
		}
		a.reject(faults, text)
		return
	}
	a.next.Remotes = Remotes{Patterns: patterns}
	for label := range patterns {
		a.out.taken[remotesSection+"/"+label] = true
	}
}

package twin

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// maxCameras is how many cameras are in force at most; of more, the first by name.
const maxCameras = 512

// wholeSection is the path of a fault of all desired properties.
const wholeSection = "desired"

// openTimeoutPath is where timeouts that do not fit together are told.
const openTimeoutPath = "tunnels/openTimeoutSeconds"

// Apply decides what is in force from now on: what the twin wants, and where it has
// faults what was in force last. last is nil before the first readable twin; then the
// defaults stand in, and for remote endpoints with faults none.
func (t Twin) Apply(last *Settings) (Settings, Outcome) {
	a := applying{twin: t, last: last, next: Defaults(), out: Outcome{Version: t.Version, taken: make(map[string]bool)}}
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
		case name == reserved:
			a.out.notYet(name)
		case !slices.Contains(sections, name):
			a.out.unknown(printable(name))
		}
	}
	return a.next, a.out
}

// applying is one Apply under way.
type applying struct {
	twin Twin
	last *Settings
	next Settings
	out  Outcome
}

// lastGood is what stays in force of what has a fault.
func (a *applying) lastGood() (_ Settings, text string) {
	if a.last != nil {
		return *a.last, "what was in force before stays in force"
	}
	s := Defaults()
	s.Remotes = Remotes{}
	return s, "the defaults are in force"
}

func (a *applying) tooLarge() (Settings, Outcome) {
	s, text := a.lastGood()
	for _, section := range sections {
		if _, ok := a.twin.desired[section]; ok {
			a.out.Sections = append(a.out.Sections, section)
		}
	}
	a.out.Faults = []Fault{{
		Path: wholeSection, Code: reason.ConfigSize, InForce: text,
		Text: "the desired properties must have at most 32768 bytes, as the hub counts them",
	}}
	return s, a.out
}

// faulty notes why something was not taken, and what is in force instead.
func (a *applying) faulty(faults []Fault, inForce string) {
	for _, f := range faults {
		f.InForce = inForce
		a.out.Faults = append(a.out.Faults, f)
	}
}

// object reads one object of a part of the schema: as what it means, with what is
// wrong with it. general is its path for NotYet.
func (a *applying) object(part, path, general string, value any) (map[string]any, []Fault) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, theSchema().check(part, value, path)
	}
	for _, name := range theSchema().unknown(part, object) {
		a.out.unknown(path + "/" + printable(name))
	}
	plain, converted := theSchema().plain(part, object)
	faults := theSchema().check(part, plain, path)
	if len(faults) > 0 {
		return plain, faults
	}
	for _, name := range converted {
		a.out.Warnings = append(a.out.Warnings, Warning{path + "/" + name, "is a string; its meaning was taken"})
	}
	for _, name := range sortedNames(plain) {
		a.out.taken[path+"/"+name] = true
		a.out.notYet(general + "/" + name)
	}
	return plain, nil
}

// section applies a section that is neither cameras nor remoteEndpoints.
func (a *applying) section(name string, value any) {
	values, faults := a.object(name, name, name, value)
	if len(faults) == 0 {
		set(a.next.fields(name), values)
		faults = a.next.together(name)
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
		text = "tunnels are switched off all the same; else " + text
	}
	a.faulty(faults, text)
}

// together is what a schema cannot say of a section's properties.
func (s *Settings) together(section string) []Fault {
	t := s.Tunnels
	if least := t.CameraTimeout + t.RemoteTimeout; section == "tunnels" && t.OpenTimeout < least {
		return []Fault{{
			Path: openTimeoutPath, Code: reason.ConfigRange,
			Text: fmt.Sprintf("must be at least cameraTimeoutSeconds and remoteTimeoutSeconds together, which is %d, and at most 25", least/time.Second),
		}}
	}
	if section == "proxy" {
		if text := checkProxy(s.Proxy.URL); text != "" {
			return []Fault{{Path: "proxy/url", Code: reason.ConfigProxy, Text: text}}
		}
	}
	return nil
}

func (a *applying) remotes(value any) {
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
		a.faulty(faults, text)
		return
	}
	a.next.Remotes = Remotes{Patterns: patterns}
	for label := range patterns {
		a.out.taken[remotesSection+"/"+label] = true
	}
}

package manifest

import (
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// settings gives access to one module's settings in a full deployment or a layer. They
// are an object, or in a layer's $edgeAgent members whose names have dots.
type settings struct {
	module string
	system bool // a module of the runtime
	object *jsontree.Value
	prefix string // of the settings' names in object
	at     place  // of object
}

func (s settings) get(name string) *jsontree.Value { return s.object.Get(s.prefix + name) }

func (s settings) set(name string, value *jsontree.Value) { s.object.Set(s.prefix+name, value) }

// place returns the place of one setting.
func (s settings) place(name string) place {
	line := s.at.line
	if v := s.get(name); v != nil {
		line = v.Line
	}
	return s.at.below(line, s.prefix+name)
}

// settings returns the settings of all modules, in the manifest's order.
func (m *Manifest) settings() []settings {
	var all []settings
	dotted := make(map[string]bool)
	for _, p := range m.parts(agentName) {
		if !isBelowSettings(p.names) {
			all = append(all, settingsIn(p.value, p.names, p.at)...)
			continue
		}
		prefix := strings.Join(append([]string{desiredName}, p.names[:3]...), ".") + "."
		if !dotted[prefix] {
			dotted[prefix] = true
			section := m.content.Get(agentName)
			all = append(all, settings{p.names[1], p.names[0] == "systemModules", section, prefix, m.at.below(section.Line, agentName)})
		}
	}
	return all
}

// isBelowSettings reports whether a path leads to a single setting or further down.
func isBelowSettings(names []string) bool {
	return len(names) > 3 && isGroup(names[0]) && names[2] == "settings"
}

func isGroup(name string) bool { return name == "modules" || name == "systemModules" }

// settingsIn returns the settings in a value; names are its path below $edgeAgent's
// desired properties.
func settingsIn(v *jsontree.Value, names []string, at place) []settings {
	if !v.Is(jsontree.Object) {
		return nil
	}
	if len(names) == 3 {
		if isGroup(names[0]) && names[2] == "settings" {
			return []settings{{names[1], names[0] == "systemModules", v, "", at}}
		}
		return nil
	}
	if len(names) > 0 && !isGroup(names[0]) {
		return nil
	}
	var all []settings
	for _, member := range v.Members {
		below := append(append([]string{}, names...), member.Name)
		all = append(all, settingsIn(member.Value, below, at.below(member.Value.Line, member.Name))...)
	}
	return all
}

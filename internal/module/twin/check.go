package twin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
)

// desiredKey is the name of a module's desired properties in a deployment. Layers also
// name parts of them: desiredKey, a dot and a path.
const desiredKey = "properties.desired"

// Check applies desired properties before they reach a hub, as a module does that has no
// configuration yet. doc is a whole twin, as the hub or its tools print it; a desired
// section; or a module's section of a deployment or of a layer. An error means that doc
// is none of these, or is not UTF-8. doc may begin with a byte order mark.
//
// Another layer may set what a layer leaves out. In a layer, a camera without a host is
// therefore a warning, and so are timeouts that exceed an openTimeoutSeconds it does not
// set.
func Check(doc []byte) (Settings, Outcome, error) {
	t, layer, err := parseAny(doc)
	if err != nil {
		return Settings{}, Outcome{}, err
	}
	t.Version = max(t.Version, 0)
	inForce, outcome := t.Apply(nil)
	if layer {
		outcome.downgradeMissing(t.desired)
	}
	return inForce, outcome, nil
}

// downgradeMissing turns faults into warnings if another layer can provide the missing
// value.
func (o *Outcome) downgradeMissing(layer map[string]any) {
	tunnels, _ := layer["tunnels"].(map[string]any)
	o.Faults = slices.DeleteFunc(o.Faults, func(f Fault) bool {
		tooShort := f.Path == openTimeoutPath && tunnels["openTimeoutSeconds"] == nil
		if f.Code != reason.ConfigMissing && !tooShort {
			return false
		}
		o.Warnings = append(o.Warnings, Warning{f.Path, "is missing in this layer; another layer or the base must set it"})
		return true
	})
}

func parseAny(doc []byte) (t Twin, layer bool, err error) {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	if bytes.HasPrefix(doc, []byte("\xff\xfe")) || bytes.HasPrefix(doc, []byte("\xfe\xff")) {
		return Twin{}, false, errors.New("the document is UTF-16; convert it to UTF-8")
	}
	top, err := members(doc)
	if err != nil {
		return Twin{}, false, fmt.Errorf("the document %w", err)
	}
	properties, _ := members(top["properties"])
	if top["desired"] == nil && properties["desired"] != nil {
		top = properties
	}
	switch {
	case top["desired"] != nil:
		doc = top["desired"]
	case top["modulesContent"] != nil || top["content"] != nil || hasModuleSections(top):
		return Twin{}, false, errors.New("the document is a whole deployment; pass only this module's section")
	case slices.ContainsFunc(slices.Collect(maps.Keys(top)), isDesiredKey):
		return parseModuleSection(top)
	}
	t, err = parseDesired(doc)
	if err != nil {
		return Twin{}, false, fmt.Errorf("the desired section %w", err)
	}
	return t, false, nil
}

// hasModuleSections reports whether top maps module names to their sections of a
// deployment.
func hasModuleSections(top map[string]json.RawMessage) bool {
	for _, value := range top {
		module, _ := members(value)
		if slices.ContainsFunc(slices.Collect(maps.Keys(module)), isDesiredKey) {
			return true
		}
	}
	return false
}

func isDesiredKey(name string) bool {
	return name == desiredKey || strings.HasPrefix(name, desiredKey+".")
}

// parseModuleSection reads a module's section of a deployment. The section is a layer's
// if it names parts of the desired properties.
func parseModuleSection(section map[string]json.RawMessage) (t Twin, layer bool, err error) {
	t.desired = make(map[string]any)
	left := desired.MaxSize
	for _, name := range slices.Sorted(maps.Keys(section)) { // sorts the whole before its parts
		if !isDesiredKey(name) {
			continue
		}
		var value any
		if value, left = desired.Decode(section[name], left); left < 0 {
			t.tooLarge = true
			break
		}
		path := strings.Split(name, ".")[2:]
		layer = layer || len(path) > 0
		if !setPath(t.desired, path, value) {
			return Twin{}, false, fmt.Errorf("%s is not an object, or is inside a value that is not an object", desired.Printable(name))
		}
	}
	return t, layer, nil
}

// setPath sets the member of object at path to value, or deletes it if value is nil. An
// empty path copies all members of value into object. setPath reports false if an object
// is required and there is another value.
func setPath(object map[string]any, path []string, value any) bool {
	if len(path) == 0 {
		all, ok := value.(map[string]any)
		maps.Copy(object, all)
		return ok || value == nil
	}
	for _, name := range path[:len(path)-1] {
		if object[name] == nil {
			object[name] = make(map[string]any)
		}
		below, ok := object[name].(map[string]any)
		if !ok {
			return false
		}
		object = below
	}
	last := path[len(path)-1]
	object[last] = value
	if value == nil {
		delete(object, last)
	}
	return true
}

// Row is one property of the configuration in force, in the twin's terms.
type Row struct {
	Path   string `json:"path"`
	Value  any    `json:"value"`
	Origin string `json:"origin"` // twin or default
}

// Explain lists every property in force and its origin. s and o are the results of Check.
func Explain(s Settings, o Outcome) []Row {
	var rows []Row
	add := func(path string, value any) {
		origin := "default"
		if o.taken[path] {
			origin = "twin"
		}
		rows = append(rows, Row{path, value, origin})
	}
	for _, c := range s.Cameras {
		values := get(cameraFields(&c))
		for _, f := range cameraFields(&c) {
			if value, ok := values[f.name]; ok {
				add(camerasSection+"/"+c.Name+"/"+f.name, value)
			}
		}
	}
	if len(s.Remotes.Patterns) == 0 {
		add(remotesSection, map[bool]string{true: "any", false: "none"}[s.Remotes.Any])
	}
	for _, label := range slices.Sorted(maps.Keys(s.Remotes.Patterns)) {
		add(remotesSection+"/"+label, s.Remotes.Patterns[label])
	}
	for _, section := range sections {
		values := get(s.fields(section))
		for _, f := range s.fields(section) {
			add(section+"/"+f.name, values[f.name])
		}
	}
	return rows
}

package twin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// deployed is how deployments name the desired properties of a module: as a whole,
// or a part of them after a dot, as layers do.
const deployed = "properties.desired"

// Check applies desired properties that no hub has yet, as a module would that has
// nothing in force. doc is a whole twin, as the hub or its tools give it; a desired
// section; or what a deployment has for a module, a layer too. An error means that it
// is none of these, or not in UTF-8, which may begin with a byte order mark.
//
// What a layer leaves out may be in another one: a camera without a host is no fault
// there, but a warning, and so are timeouts without the one that must be longer.
func Check(doc []byte) (Settings, Outcome, error) {
	t, layer, err := parseAny(doc)
	if err != nil {
		return Settings{}, Outcome{}, err
	}
	t.Version = max(t.Version, 0)
	inForce, outcome := t.Apply(nil)
	if layer {
		outcome.forgive(t.desired)
	}
	return inForce, outcome, nil
}

// forgive makes warnings of what is missing in a layer.
func (o *Outcome) forgive(layer map[string]any) {
	tunnels, _ := layer["tunnels"].(map[string]any)
	o.Faults = slices.DeleteFunc(o.Faults, func(f Fault) bool {
		tooShort := f.Path == openTimeoutPath && tunnels["openTimeoutSeconds"] == nil
		if f.Code != reason.ConfigMissing && !tooShort {
			return false
		}
		o.Warnings = append(o.Warnings, Warning{f.Path, "is missing in this layer: another one must have it"})
		return true
	})
}

func parseAny(doc []byte) (t Twin, layer bool, err error) {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	if bytes.HasPrefix(doc, []byte("\xff\xfe")) || bytes.HasPrefix(doc, []byte("\xfe\xff")) {
		return Twin{}, false, errors.New("the document is in UTF-16: give it in UTF-8")
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
	case top["modulesContent"] != nil || top["content"] != nil || ofModules(top):
		return Twin{}, false, errors.New("the document is a whole deployment: give what it has for this module")
	case slices.ContainsFunc(slices.Collect(maps.Keys(top)), isDeployed):
		return parseDeployed(top)
	}
	t, err = parseDesired(doc)
	if err != nil {
		return Twin{}, false, fmt.Errorf("the desired section %w", err)
	}
	return t, false, nil
}

// ofModules tells of what a deployment has for modules by their names.
func ofModules(top map[string]json.RawMessage) bool {
	for _, value := range top {
		module, _ := members(value)
		if slices.ContainsFunc(slices.Collect(maps.Keys(module)), isDeployed) {
			return true
		}
	}
	return false
}

func isDeployed(name string) bool {
	return name == deployed || strings.HasPrefix(name, deployed+".")
}

// parseDeployed reads what a deployment has for a module. It is a layer if it names
// parts.
func parseDeployed(section map[string]json.RawMessage) (t Twin, layer bool, err error) {
	t.desired = make(map[string]any)
	left := maxDesired
	for _, name := range slices.Sorted(maps.Keys(section)) { // the whole comes before its parts
		if !isDeployed(name) {
			continue
		}
		var value any
		if value, left = decode(section[name], left); left < 0 {
			t.tooLarge = true
			break
		}
		path := strings.Split(name, ".")[2:]
		layer = layer || len(path) > 0
		if !put(t.desired, path, value) {
			return Twin{}, false, fmt.Errorf("%s is not an object, or not in one", printable(name))
		}
	}
	return t, layer, nil
}

// put puts value into object at path, or all its members if there is no path. A nil
// takes away what is there.
func put(object map[string]any, path []string, value any) bool {
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

// Row is one property of the configuration in force, as the twin would have it.
type Row struct {
	Path   string `json:"path"`
	Value  any    `json:"value"`
	Origin string `json:"origin"` // twin or default
}

// Explain is all that is in force, with where it is from: s and o are Check's.
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
			add(camerasSection+"/"+c.Name+"/"+f.name, values[f.name])
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

// Package deployment is what a deployment says of the modules of an IoT Edge device,
// and what several make of one device together. It is pure.
//
// Known from Microsoft, "Understand IoT Edge automatic deployments" and "Deploy and
// monitor IoT Edge modules at scale": the form of modulesContent; that one standard
// deployment applies to a device, the one with the highest priority, of equal ones
// the newest; that layered ones of a higher priority add to it; that
// "properties.desired" of a module takes the place of all that deployments of lower
// priority say of that module, and "properties.desired.<path>" of that part alone;
// that a module or route of the same name is the higher one's. From
// Azure/iotedge, "Tracking $edgeAgent's reported properties": Applied is what has
// been merged into the result, Targeted what has not; from its issue 5299: a layer
// with an empty $edgeAgent is Targeted there, and Applied at the module.
//
// Decided here, because no page says it:
//   - A deployment is standard if $edgeAgent has "properties.desired", else it is
//     layered. It must name $edgeAgent; a layer's must not name systemModules.
//   - What is written at a path takes the place of what was there, all of it. Within
//     one deployment shorter paths come first. null takes away what is there.
//   - A deployment is Applied at a module if something that it says of it was not
//     overwritten by another. Deployments that come to nothing for want of a standard
//     one, or because their priority is not above its, are Targeted.
//
// Package manifest of the operator's tools merges layers by the same rules a second
// time, on purpose: its tests compare the results of both. Do not share code between
// the two.
package deployment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsonvalue"
)

const (
	edgeAgent = "$edgeAgent"
	desired   = "properties.desired"
)

// ErrContent says that modulesContent is not of the form IoT Hub takes, and where; its
// text is fit for the caller.
var ErrContent = errors.New("the content provided for configuration is invalid")

// Content is a modulesContent that was understood. It does not change.
type Content struct {
	modules  map[string][]assignment
	standard bool
}

// assignment writes value at a path below a module's desired properties; an empty path
// is all of them.
type assignment struct {
	path  []string
	value any
}

// Parse reads a modulesContent: {"module": {"properties.desired...": value}}. The
// error is ErrContent, wrapped.
func Parse(modulesContent []byte) (*Content, error) {
	modules, err := decode(modulesContent)
	if err != nil {
		return nil, err
	}
	if _, ok := modules[edgeAgent]; !ok {
		return nil, fmt.Errorf("%w: modulesContent has no %s; a layer that sets nothing there has an empty one", ErrContent, edgeAgent)
	}
	c := &Content{modules: make(map[string][]assignment, len(modules))}
	_, c.standard = modules[edgeAgent][desired]
	for module, settings := range modules {
		list := make([]assignment, 0, len(settings))
		for key, value := range settings {
			a, err := parseAssignment(key, value)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrContent, module, err)
			}
			if !c.standard && module == edgeAgent && a.path[0] == "systemModules" {
				return nil, fmt.Errorf("%w: %s: a layer must not set systemModules", ErrContent, module)
			}
			list = append(list, a)
		}
		slices.SortFunc(list, func(a, b assignment) int { return slices.Compare(a.path, b.path) }) // a prefix comes first
		c.modules[module] = list
	}
	return c, nil
}

func decode(text []byte) (map[string]map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var modules map[string]map[string]any
	if err := decoder.Decode(&modules); err != nil || modules == nil {
		return nil, fmt.Errorf("%w: modulesContent is not an object of objects", ErrContent)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows modulesContent", ErrContent)
	}
	return modules, nil
}

func parseAssignment(key string, value any) (assignment, error) {
	dropNulls(value)
	rest, ok := strings.CutPrefix(key, desired)
	if !ok || rest != "" && rest[0] != '.' {
		return assignment{}, fmt.Errorf("%.64q does not begin with %s", key, desired)
	}
	if rest == "" {
		if _, ok := value.(map[string]any); !ok {
			return assignment{}, fmt.Errorf("%s is not an object", desired)
		}
		return assignment{value: value}, nil
	}
	path := strings.Split(rest[1:], ".")
	if slices.Contains(path, "") {
		return assignment{}, fmt.Errorf("%.64q has an empty name in it", key)
	}
	return assignment{path: path, value: value}, nil
}

// Standard says whether the content is that of a standard deployment; else it is a
// layer's.
func (c *Content) Standard() bool {
	return c.standard
}

// Modules returns the modules that it says something of, sorted.
func (c *Content) Modules() []string {
	return slices.Sorted(maps.Keys(c.modules))
}

// Overlay returns what the content makes of the desired properties of one module. It
// does not change have.
func (c *Content) Overlay(module string, have map[string]any) map[string]any {
	result := jsonvalue.CloneObject(have)
	for _, a := range c.modules[module] {
		result = a.write(result)
	}
	return result
}

// write returns object with the value written.
func (a assignment) write(object map[string]any) map[string]any {
	value := jsonvalue.Clone(a.value)
	if len(a.path) == 0 {
		return value.(map[string]any) //nolint:forcetypeassert // checked by parseAssignment
	}
	jsonvalue.Set(object, a.path, value) // replaces what is not an object on the path
	return object
}

// dropNulls deletes the members of a value that are null: a twin has none.
func dropNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if member == nil {
				delete(value, name)
			}
			dropNulls(member)
		}
	case []any:
		for _, item := range value {
			dropNulls(item)
		}
	}
}

// RunBy returns the modules that $edgeAgent's desired properties name, sorted.
func RunBy(edgeAgent map[string]any) []string {
	modules, _ := edgeAgent["modules"].(map[string]any)
	return slices.Sorted(maps.Keys(modules))
}

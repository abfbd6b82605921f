// Package deployment parses deployments for IoT Edge devices, and merges the deployments
// that target one device into the desired properties of its modules. It is pure.
//
// Microsoft, "Understand IoT Edge automatic deployments" and "Deploy and monitor IoT Edge
// modules at scale", and Azure/iotedge define these rules:
//   - The form of modulesContent.
//   - One standard deployment applies to a device: the one with the highest priority,
//     and the newest of equal ones. Layered deployments with a higher priority add to it.
//   - "properties.desired" of a module replaces everything that deployments of lower
//     priority set for that module. "properties.desired.<path>" replaces that part only.
//   - For a module or route with the same name, the deployment with the higher priority
//     wins.
//   - The status Applied means merged into the result; Targeted means not merged
//     (Azure/iotedge, "Tracking $edgeAgent's reported properties"). A layer with an empty
//     $edgeAgent is Targeted at $edgeAgent and Applied at the module (issue 5299 there).
//
// These rules are our decisions, because no page defines them:
//   - A deployment is standard if $edgeAgent has "properties.desired"; otherwise it is
//     layered. It must have $edgeAgent. A layer must not set systemModules.
//   - A value replaces everything at its path. Within one deployment, shorter paths are
//     written first. null deletes the value at its path.
//   - A deployment is Applied at a module if another one does not overwrite all its
//     values there. A layer is Targeted if there is no standard deployment, or if the
//     standard deployment has the same or a higher priority.
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

// ErrContent reports a modulesContent that IoT Hub does not accept. It is wrapped with the
// place; its text may be shown to the client.
var ErrContent = errors.New("the content provided for configuration is invalid")

// Content is a parsed modulesContent. It is immutable.
type Content struct {
	modules  map[string][]assignment
	standard bool
}

// assignment writes value at a path in a module's desired properties. An empty path means
// all of them. value has no null members.
type assignment struct {
	path  []string
	value any
}

// Parse parses a modulesContent: {"module": {"properties.desired...": value}}. The error
// is ErrContent, wrapped.
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

// Standard reports whether the content belongs to a standard deployment and not to a
// layer.
func (c *Content) Standard() bool {
	return c.standard
}

// Modules returns the modules that the content names, sorted.
func (c *Content) Modules() []string {
	return slices.Sorted(maps.Keys(c.modules))
}

// Overlay returns the desired properties of one module after the content is applied to
// have. It does not change have.
func (c *Content) Overlay(module string, have map[string]any) map[string]any {
	result := jsonvalue.CloneObject(have)
	for _, a := range c.modules[module] {
		result = a.write(result)
	}
	return result
}

// write writes the value into object and returns the result.
func (a assignment) write(object map[string]any) map[string]any {
	value := jsonvalue.Clone(a.value)
	if len(a.path) == 0 {
		return value.(map[string]any) //nolint:forcetypeassert // checked by parseAssignment
	}
	jsonvalue.Set(object, a.path, value) // replaces a value on the path that is not an object
	return object
}

// dropNulls deletes the null members of a value, because twins have none.
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

// RunBy returns the modules that the desired properties of $edgeAgent list, sorted.
func RunBy(edgeAgent map[string]any) []string {
	modules, _ := edgeAgent["modules"].(map[string]any)
	return slices.Sorted(maps.Keys(modules))
}

package manifest

import (
	"encoding/json"
	"slices"

	"rtsptunnel/internal/base/jsontree"
)

// Leaf is one value that a device gets, and its origin.
type Leaf struct {
	Module string          `json:"module"`
	Path   string          `json:"path"` // below the module's desired properties, separated by slashes
	Value  json.RawMessage `json:"value"`
	From   string          `json:"from"`           // the deployment that sets it, as its String
	Over   []string        `json:"over,omitempty"` // deployments whose values it overrides, highest priority first
}

// Explain lists every value in the result, the deployment that it comes from, and the
// deployments that it overrides. It covers one module, or all if module is empty.
func (m *Merged) Explain(module string) []Leaf {
	leaves := []Leaf{} // not null in JSON
	for _, section := range m.Manifest.content.Members {
		if module != "" && module != section.Name {
			continue
		}
		eachLeaf(section.Value.Get(desiredName), []string{section.Name}, func(path []string, v *jsontree.Value) {
			leaves = append(leaves, m.leaf(path, v))
		})
	}
	return leaves
}

func (m *Merged) leaf(path []string, v *jsontree.Value) Leaf {
	leaf := Leaf{Module: path[0], Path: join(path[1:]), Value: v.Compact()}
	history := m.history[key(path)]
	for _, number := range slices.Backward(history) {
		name := m.Order[number].String()
		if leaf.From == "" {
			leaf.From = name
			continue
		}
		leaf.Over = append(leaf.Over, name)
	}
	return leaf
}

// Module is one module of a device. From and Over are the origin of its image, as in
// Leaf.
type Module struct {
	Name          string   `json:"name"`
	Image         string   `json:"image"`
	Status        string   `json:"status,omitempty"`
	RestartPolicy string   `json:"restartPolicy,omitempty"`
	Version       string   `json:"version,omitempty"`
	From          string   `json:"from"`
	Over          []string `json:"over,omitempty"`
}

// Modules lists the device's modules in the order of the documents, with the runtime's
// own first.
func (m *Merged) Modules() []Module {
	modules := []Module{}
	agent := m.Manifest.content.At(agentName, desiredName)
	for _, group := range []string{"systemModules", "modules"} {
		for _, member := range agent.Get(group).All() {
			text := func(names ...string) string {
				if v := member.Value.At(names...); v.Is(jsontree.String) {
					return v.Text
				}
				return ""
			}
			image := m.leaf([]string{agentName, group, member.Name, "settings", "image"}, &jsontree.Value{})
			modules = append(modules, Module{
				Name: member.Name, Image: text("settings", "image"), Status: text("status"),
				RestartPolicy: text("restartPolicy"), Version: text("version"), From: image.From, Over: image.Over,
			})
		}
	}
	return modules
}

package manifest

import (
	"slices"

	"rtsptunnel/internal/base/jsontree"
)

const (
	camerasName   = "cameras"
	localPortName = "localPort"
)

// HasCameras reports whether the manifest has the cameras of a module. Without them it
// gives no local ports.
func (m *Manifest) HasCameras() bool {
	return slices.ContainsFunc(m.content.Members, func(section jsontree.Member) bool {
		return len(m.desired(section.Name).Get(camerasName).All()) > 0
	})
}

// SharedPort is a local port that two cameras of one module have. The module rejects one
// of them.
type SharedPort struct {
	Module string
	Port   int
	First  PortOwner
	Second PortOwner
}

// PortOwner is a camera, and the deployment that gives its port, as an index into Order.
type PortOwner struct {
	Camera string
	From   int
}

// SharedPorts returns the local ports that several cameras of an rtsptunnel module have,
// in the order of the documents. named lists further rtsptunnel modules, as in Options.
func (m *Merged) SharedPorts(named []string) []SharedPort {
	c := &checker{m: m.Manifest}
	modules := slices.Concat(c.tunnelModules(), named)
	slices.Sort(modules)
	var shared []SharedPort
	for _, module := range slices.Compact(modules) {
		owners := map[int]PortOwner{}
		for _, camera := range m.Manifest.desired(module).Get(camerasName).All() {
			port := localPort(camera.Name, camera.Value)
			owner := PortOwner{camera.Name, m.portOrigin(module, camera)}
			first, taken := owners[port]
			switch {
			case port == 0: // an invalid camera has none
			case taken:
				shared = append(shared, SharedPort{module, port, first, owner})
			default:
				owners[port] = owner
			}
		}
	}
	return shared
}

// portOrigin returns the deployment that gives a camera's local port: the origin of
// localPort, else of port, which is the default, else of the camera's other properties.
func (m *Merged) portOrigin(module string, camera jsontree.Member) int {
	path := []string{module, camerasName, camera.Name}
	for _, name := range []string{localPortName, "port"} {
		if history := m.history[key(append(path, name))]; camera.Value.Get(name) != nil && len(history) > 0 {
			return history[len(history)-1]
		}
	}
	origin := 0
	eachLeaf(camera.Value, path, func(path []string, _ *jsontree.Value) {
		if history := m.history[key(path)]; len(history) > 0 {
			origin = max(origin, history[len(history)-1])
		}
	})
	return origin
}

package deployment

import (
	"cmp"
	"slices"
	"time"
)

// Statuses of a deployment at a module, as twins have them.
const (
	Applied  = "Applied"
	Targeted = "Targeted"
)

// Deployment is one that targets a device.
type Deployment struct {
	ID       string
	Priority int
	Created  time.Time
	Content  *Content
}

// Plan is what deployments make of one device.
type Plan struct {
	// Desired are all desired properties of the modules that they say something of;
	// nil if there is no standard deployment, and so nothing to do.
	Desired map[string]map[string]any
	// Statuses of the deployments, by module and by id. All are told at $edgeAgent.
	Statuses map[string]map[string]string
}

// Merge returns the plan of all deployments that target one device, in any order.
func Merge(targeting []Deployment) Plan {
	rising := slices.SortedFunc(slices.Values(targeting), func(a, b Deployment) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	p := Plan{Statuses: make(map[string]map[string]string)}
	for _, d := range rising {
		p.target(d)
	}
	applied := inForce(rising)
	if len(applied) == 0 {
		return p
	}
	p.Desired = make(map[string]map[string]any)
	for i, d := range applied {
		for _, module := range d.Content.Modules() {
			p.Desired[module] = d.Content.Overlay(module, p.Desired[module])
			if d.shows(module, applied[i+1:]) {
				p.Statuses[module][d.ID] = Applied
			}
		}
	}
	return p
}

func (p Plan) target(d Deployment) {
	for _, module := range d.Content.Modules() {
		if p.Statuses[module] == nil {
			p.Statuses[module] = make(map[string]string)
		}
		p.Statuses[module][d.ID] = Targeted
	}
}

// inForce returns the standard deployment that applies and the layers above it.
func inForce(rising []Deployment) []Deployment {
	for i, d := range slices.Backward(rising) {
		if !d.Content.Standard() {
			continue
		}
		applied := []Deployment{d}
		for _, layer := range rising[i+1:] {
			if layer.Priority > d.Priority {
				applied = append(applied, layer)
			}
		}
		return applied
	}
	return nil
}

// shows says whether something that d says of a module is in the result, with the
// deployments above it.
func (d Deployment) shows(module string, above []Deployment) bool {
	return slices.ContainsFunc(d.Content.modules[module], func(a assignment) bool {
		return !slices.ContainsFunc(above, func(other Deployment) bool {
			return slices.ContainsFunc(other.Content.modules[module], a.isBelow)
		})
	})
}

// isBelow says whether b is written over all of a.
func (a assignment) isBelow(b assignment) bool {
	return len(b.path) <= len(a.path) && slices.Equal(a.path[:len(b.path)], b.path)
}

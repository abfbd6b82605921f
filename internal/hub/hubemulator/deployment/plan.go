package deployment

import (
	"cmp"
	"slices"
	"time"
)

// Statuses of a deployment at a module, with the values that twins have.
const (
	Applied  = "Applied"
	Targeted = "Targeted"
)

// Deployment is a deployment that targets a device.
type Deployment struct {
	ID       string
	Priority int
	Created  time.Time
	Content  *Content
}

// Plan is the result of all deployments for one device.
type Plan struct {
	// Desired has the complete desired properties of each module that the deployments
	// name. It is nil if there is no standard deployment, and so nothing to do.
	Desired map[string]map[string]any
	// Statuses are the statuses of the deployments, by module and by id. $edgeAgent has
	// the statuses of all of them.
	Statuses map[string]map[string]string
}

// Merge returns the plan for one device. targeting has all deployments that target the
// device, in any order.
func Merge(targeting []Deployment) Plan {
	ascending := slices.SortedFunc(slices.Values(targeting), func(a, b Deployment) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	p := Plan{Statuses: make(map[string]map[string]string)}
	for _, d := range ascending {
		p.target(d)
	}
	applied := inForce(ascending)
	if len(applied) == 0 {
		return p
	}
	p.Desired = make(map[string]map[string]any)
	for i, d := range applied {
		for _, module := range d.Content.Modules() {
			p.Desired[module] = d.Content.Overlay(module, p.Desired[module])
			if d.isVisible(module, applied[i+1:]) {
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
func inForce(ascending []Deployment) []Deployment {
	for i, d := range slices.Backward(ascending) {
		if !d.Content.Standard() {
			continue
		}
		applied := []Deployment{d}
		for _, layer := range ascending[i+1:] {
			if layer.Priority > d.Priority {
				applied = append(applied, layer)
			}
		}
		return applied
	}
	return nil
}

// isVisible reports whether at least one value that d sets for a module is not
// overwritten by the deployments above it.
func (d Deployment) isVisible(module string, above []Deployment) bool {
	return slices.ContainsFunc(d.Content.modules[module], func(a assignment) bool {
		return !slices.ContainsFunc(above, func(other Deployment) bool {
			return slices.ContainsFunc(other.Content.modules[module], a.isOverwrittenBy)
		})
	})
}

// isOverwrittenBy reports whether b overwrites all of a.
func (a assignment) isOverwrittenBy(b assignment) bool {
	return len(b.path) <= len(a.path) && slices.Equal(a.path[:len(b.path)], b.path)
}

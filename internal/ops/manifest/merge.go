package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Deployment is a manifest with its priority at a hub.
type Deployment struct {
	Manifest *Manifest
	// Priority decides which deployment wins: the one with the higher number. If nil, the
	// priority in the file counts, where az iot edge deployment show writes it.
	Priority *int
}

func (d Deployment) priority() *int {
	if d.Priority != nil {
		return d.Priority
	}
	return d.Manifest.Header().Priority
}

// String returns the file's name, and the priority if there is one.
func (d Deployment) String() string {
	if p := d.priority(); p != nil {
		return fmt.Sprintf("%s (priority %d)", d.Manifest.file, *p)
	}
	return d.Manifest.file
}

// Merged is the configuration of a device that a base and layers target.
type Merged struct {
	Manifest *Manifest        // a full deployment
	Order    []Deployment     // the base, then the layers by priority
	history  map[string][]int // indexes into Order that set a value, by the key of its path
}

// Merge puts layers onto a base as IoT Hub does for a device that all of them target
// ("Understand IoT Edge automatic deployments for single devices or at scale", layered
// deployment). The layers' priorities decide the order, or the order of the arguments if
// no layer has a priority.
//
// A layer's name with dots replaces the complete value at that path: a module, a route, a
// part of a twin. A layer's properties.desired of a module replaces all of the module's
// desired properties. null deletes a property. A path through a value that is not an
// object is an error. The result is nil if any problem is an error.
//
// The hub emulator's package deployment implements the same rules a second time, on
// purpose and without common code: a property test (TestMerge_asTheHub) compares the two,
// so that each checks the other. Change both together.
func Merge(base Deployment, layers ...Deployment) (*Merged, Problems) {
	r := &report{file: base.Manifest.file}
	if base.Manifest.Layered() {
		r.fault(base.Manifest.at.below(0, agentName, desiredName), "is missing: the first argument must be a full deployment, but this is a layer", "pass the device's automatic deployment first, or its deployment for a single device")
	}
	layers = r.order(base, layers)
	m := &merging{report: r, result: &Merged{Order: append([]Deployment{base}, layers...), history: map[string][]int{}}, desired: jsontree.NewObject()}
	for i, d := range m.result.Order {
		m.apply(i, d.Manifest)
	}
	if r.list.Err() != nil {
		return nil, r.list
	}
	m.finish()
	return m.result, r.list
}

// order sorts the layers by priority. Either all layers have a priority, or none has one
// and their order stays.
func (r *report) order(base Deployment, layers []Deployment) []Deployment {
	layers = slices.Clone(layers)
	with := 0
	for _, d := range layers {
		if d.priority() != nil {
			with++
		}
	}
	if with == 0 {
		return layers
	}
	for _, d := range layers {
		if d.priority() == nil {
			r.rankFault(d, "has no priority, but other layers have one", "give all layers a priority, such as FILE@10, or none, to merge them in the order of the arguments")
		}
	}
	if with < len(layers) {
		return layers
	}
	slices.SortStableFunc(layers, func(a, b Deployment) int { return cmp.Compare(*a.priority(), *b.priority()) })
	below := base
	for _, d := range layers {
		r.checkOutranks(below, d)
		below = d
	}
	return layers
}

// checkOutranks checks that d has a higher priority than the deployment below it.
func (r *report) checkOutranks(below, d Deployment) {
	p := below.priority()
	switch {
	case p == nil:
	case *p == *d.priority():
		r.rankFault(d, fmt.Sprintf("has priority %d, as %s has: the hub decides which of them wins", *p, below.Manifest.file), "give them different priorities")
	case *p > *d.priority():
		r.rankFault(d, fmt.Sprintf("has priority %d, below the base %s with %d: it would never be applied", *d.priority(), below.Manifest.file, *p), "give layers a higher priority than the deployment below them")
	}
}

// rankFault reports a fault of a deployment's priority.
func (r *report) rankFault(d Deployment, text, remedy string) {
	r.list = append(r.list, Problem{File: d.Manifest.file, Text: text, Remedy: remedy})
}

// merging holds the state of one Merge.
type merging struct {
	*report
	result  *Merged
	desired *jsontree.Value // desired properties, by module
}

// apply puts one deployment on top of those before it; number is its index in Order.
func (m *merging) apply(number int, from *Manifest) {
	m.file = from.file
	for _, section := range from.content.Members {
		if m.desired.Get(section.Name) == nil {
			m.desired.Set(section.Name, jsontree.NewObject())
		}
		for _, p := range from.partsByDepth(section.Name) {
			if len(p.names) == 0 && number > 0 && isRuntime(section.Name) {
				m.fault(p.at, "is not allowed in a layer", "use names with dots there, such as properties.desired.modules.NAME")
				continue
			}
			m.applyPart(number, section.Name, p)
		}
	}
}

func (m *merging) applyPart(number int, module string, p part) {
	value := withoutNulls(p.value)
	path := append([]string{module}, p.names...)
	if len(p.names) == 0 && value == nil {
		value = jsontree.NewObject()
	}
	if stop := setPath(m.desired, path, value); stop > 0 {
		text := fmt.Sprintf("cannot be put into %s, which is not an object", join(path[1:stop]))
		if before := m.result.history[key(path[:stop])]; len(before) > 0 {
			text += " in " + m.result.Order[before[len(before)-1]].String()
		}
		m.fault(p.at, text, "set the whole "+join(path[1:stop])+" there, or change the other deployment")
		return
	}
	eachLeaf(value, path, func(path []string, _ *jsontree.Value) {
		k := key(path)
		m.result.history[k] = append(m.result.history[k], number)
	})
}

// setPath sets the value at a path, or deletes it if value is nil. It creates objects on
// the path. If there is another value on the path, setPath changes nothing and returns how
// many names lead to that value; otherwise it returns 0.
func setPath(object *jsontree.Value, path []string, value *jsontree.Value) (stop int) {
	for i, name := range path[:len(path)-1] {
		below := object.Get(name)
		if below == nil {
			if value == nil {
				return 0
			}
			below = jsontree.NewObject()
			object.Set(name, below)
		}
		if !below.Is(jsontree.Object) {
			return i + 1
		}
		object = below
	}
	last := path[len(path)-1]
	if value == nil {
		object.Delete(last)
		return 0
	}
	object.Set(last, value)
	return 0
}

// withoutNulls copies a value as a twin stores it: without members that are null. It drops
// line numbers, because the copy belongs to another document. It returns nil for null.
func withoutNulls(v *jsontree.Value) *jsontree.Value {
	if v.Is(jsontree.Null) {
		return nil
	}
	c := &jsontree.Value{Kind: v.Kind, Text: v.Text}
	for _, item := range v.Items {
		if kept := withoutNulls(item); kept != nil {
			c.Items = append(c.Items, kept)
		} else {
			c.Items = append(c.Items, &jsontree.Value{}) // nulls in arrays stay: twins replace arrays as a whole
		}
	}
	for _, m := range v.Members {
		if kept := withoutNulls(m.Value); kept != nil {
			c.Members = append(c.Members, jsontree.Member{Name: m.Name, Value: kept})
		}
	}
	return c
}

// eachLeaf visits all values in v that are not objects, and all empty objects.
func eachLeaf(v *jsontree.Value, path []string, visit func(path []string, v *jsontree.Value)) {
	if v == nil {
		return
	}
	if !v.Is(jsontree.Object) || len(v.Members) == 0 {
		visit(path, v)
		return
	}
	for _, m := range v.Members {
		eachLeaf(m.Value, slices.Concat(path, []string{m.Name}), visit)
	}
}

// key returns a path as the key of a map.
func key(path []string) string { return strings.Join(path, "\x00") }

// finish builds the merged manifest.
func (m *merging) finish() {
	content := jsontree.NewObject()
	for _, section := range m.desired.Members {
		whole := jsontree.NewObject()
		whole.Set(desiredName, section.Value)
		content.Set(section.Name, whole)
	}
	root := jsontree.NewObject()
	root.Set(modulesName, content)
	files := make([]string, len(m.result.Order))
	for i, d := range m.result.Order {
		files[i] = d.Manifest.file
	}
	m.result.Manifest = &Manifest{file: strings.Join(files, "+"), root: root, content: content, at: place{path: []string{modulesName}}}
}

// desired returns a module's desired properties, with the parts merged. It ignores parts
// whose path leads through a value that is not an object.
func (m *Manifest) desired(module string) *jsontree.Value {
	all := jsontree.NewObject()
	for _, p := range m.partsByDepth(module) {
		setPath(all, append([]string{module}, p.names...), withoutNulls(p.value))
	}
	return all.Get(module)
}

// Desired returns a module's desired properties as one indented JSON object with a line
// break at its end. It returns nil if the manifest has none.
func (m *Manifest) Desired(module string) []byte {
	desired := m.desired(module)
	if desired == nil {
		return nil
	}
	return desired.Indent()
}

package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Deployment is a manifest with the priority that it has at a hub.
type Deployment struct {
	Manifest *Manifest
	// Priority is larger for what comes on top. If nil, it is the one in the file, as
	// az iot edge deployment show writes it.
	Priority *int
}

func (d Deployment) priority() *int {
	if d.Priority != nil {
		return d.Priority
	}
	return d.Manifest.Header().Priority
}

// String is the file, and the priority if there is one.
func (d Deployment) String() string {
	if p := d.priority(); p != nil {
		return fmt.Sprintf("%s (priority %d)", d.Manifest.file, *p)
	}
	return d.Manifest.file
}

// Merged is what a device gets that takes a base with layers.
type Merged struct {
	Manifest *Manifest    // a full one
	Order    []Deployment // the base, and the layers by priority
	history  map[string][]int
}

// Merge puts layers onto a base as IoT Hub does for a device that all of them target
// ("Understand IoT Edge automatic deployments for single devices or at scale", layered
// deployment): in the order of their priorities, or of the arguments if none of the
// layers has one. What a layer has under a name with dots takes the place of what is
// there, as a whole: a module, a route, a part of a twin. What it has as a module's
// properties.desired takes the place of all of them. null takes a property away. What
// one layer has a value at, another one cannot have something below of. There is no
// result if there is an error among the problems.
func Merge(base Deployment, layers ...Deployment) (*Merged, Problems) {
	r := &report{file: base.Manifest.file}
	if base.Manifest.Layered() {
		r.fault(base.Manifest.at.below(0, agentName, desiredName), "is missing: the first one must be a full deployment, and this is a layer", "name the device's automatic deployment first, or the one for the device alone")
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

// order sorts the layers, and checks that their order is known.
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
			r.list = append(r.list, Problem{File: d.Manifest.file, Text: "has no priority, and other layers have one", Remedy: "give one to all layers, as FILE@10, or to none, for the order they are named in"})
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

// above checks that one deployment outranks another.
func (r *report) checkOutranks(below, d Deployment) {
	p := below.priority()
	switch {
	case p == nil:
	case *p == *d.priority():
		r.list = append(r.list, Problem{File: d.Manifest.file, Text: fmt.Sprintf("has priority %d, as %s has: which of them holds is up to the hub", *p, below.Manifest.file), Remedy: "give them different priorities"})
	case *p > *d.priority():
		r.list = append(r.list, Problem{File: d.Manifest.file, Text: fmt.Sprintf("has priority %d, below the base %s with %d: it would never be applied", *d.priority(), below.Manifest.file, *p), Remedy: "give layers a higher priority than the deployment below them"})
	}
}

type merging struct {
	*report
	result  *Merged
	desired *jsontree.Value // desired properties, by module
}

// put puts one deployment on top.
func (m *merging) apply(number int, from *Manifest) {
	m.file = from.file
	for _, section := range from.content.Members {
		if m.desired.Get(section.Name) == nil {
			m.desired.Set(section.Name, jsontree.NewObject())
		}
		parts := from.parts(section.Name)
		// The whole comes before its parts.
		slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(len(a.names), len(b.names)) })
		for _, p := range parts {
			system := section.Name == agentName || section.Name == hubName
			if len(p.names) == 0 && number > 0 && system {
				m.fault(p.at, "cannot stand in a layer", "there, write names with dots, as properties.desired.modules.NAME")
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
		text := fmt.Sprintf("cannot be put into %s, which is no object", join(path[1:stop]))
		if before := m.result.history[key(path[:stop])]; len(before) > 0 {
			text += " in " + m.result.Order[before[len(before)-1]].String()
		}
		m.fault(p.at, text, "give the whole "+join(path[1:stop])+" there, or change the other one")
		return
	}
	eachLeaf(value, path, func(path []string, _ *jsontree.Value) {
		k := key(path)
		m.result.history[k] = append(m.result.history[k], number)
	})
}

// put puts a value at a path of objects, or takes away what is there if it is nil. stop
// is how many names lead to what is no object, 0 if all are.
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

// lasting is a copy of a value as a twin keeps it, without nulls and without lines, as
// it goes into another file; nil of null.
func withoutNulls(v *jsontree.Value) *jsontree.Value {
	if v.Is(jsontree.Null) {
		return nil
	}
	c := &jsontree.Value{Kind: v.Kind, Text: v.Text}
	for _, item := range v.Items {
		if kept := withoutNulls(item); kept != nil {
			c.Items = append(c.Items, kept)
		} else {
			c.Items = append(c.Items, &jsontree.Value{}) // arrays are values as a whole
		}
	}
	for _, m := range v.Members {
		if kept := withoutNulls(m.Value); kept != nil {
			c.Members = append(c.Members, jsontree.Member{Name: m.Name, Value: kept})
		}
	}
	return c
}

// eachLeaf visits everything below v that is no object, and empty objects.
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

// key is a path as a map's key.
func key(path []string) string { return strings.Join(path, "\x00") }

// finish makes the manifest.
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

// desired are all desired properties that the manifest has for a module, its parts put
// together. What does not fit is left out.
func (m *Manifest) desired(module string) *jsontree.Value {
	all := jsontree.NewObject()
	parts := m.parts(module)
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(len(a.names), len(b.names)) })
	for _, p := range parts {
		setPath(all, append([]string{module}, p.names...), withoutNulls(p.value))
	}
	return all.Get(module)
}

// Desired are the desired properties that the manifest has for a module, as one
// indented JSON object with a line break at its end; nil if there are none.
func (m *Manifest) Desired(module string) []byte {
	desired := m.desired(module)
	if desired == nil {
		return nil
	}
	return desired.Indent()
}

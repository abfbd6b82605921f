package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// These limits are far above those of a hub. They bound the time and the memory that a
// file can consume.
const (
	maxFile    = 1 << 20 // bytes, also after variables are expanded
	maxMembers = 2000    // modules, and parts of one module's properties
)

// Names in a manifest.
const (
	agentName   = "$edgeAgent"
	hubName     = "$edgeHub"
	desiredName = "properties.desired" // a module's desired properties; a dot and a path may follow, to name a part
	modulesName = "modulesContent"
	legacyName  = "moduleContent"
	contentName = "content"
)

// isRuntime reports whether a section belongs to the runtime's edge agent or edge hub.
func isRuntime(section string) bool { return section == agentName || section == hubName }

// Manifest is the document of a deployment. It is immutable and safe for concurrent use.
type Manifest struct {
	file    string
	root    *jsontree.Value
	content *jsontree.Value // modulesContent
	at      place           // of content
}

// Header has the properties of a deployment at a hub, apart from its content. Files that
// az iot edge deployment show wrote have one.
type Header struct {
	ID              string
	Priority        *int // nil if the file has none
	TargetCondition string
}

// Parse reads the document of a manifest; file is its name in problems. Duplicate members
// are errors, because other readers silently use one of them. The manifest is nil if doc
// is not a deployment.
func Parse(file string, doc []byte) (*Manifest, Problems) {
	r := &report{file: file}
	return r.parse(doc), r.list
}

func (r *report) parse(doc []byte) *Manifest {
	root := r.tree(doc)
	if root == nil {
		return nil
	}
	return r.manifest(root)
}

// renameLegacy renames moduleContent to modulesContent, as az does with a warning:
// Azure/azure-iot-cli-extension, azext_iot/operations/hub.py, _process_config_content.
func (r *report) renameLegacy(root *jsontree.Value) {
	if root.Get(modulesName) != nil || root.At(contentName, modulesName) != nil {
		return
	}
	for _, outer := range []place{{}, {path: []string{contentName}}} {
		for i, m := range root.At(outer.path...).All() {
			if m.Name == legacyName && !m.Value.Is(jsontree.Null) {
				r.warn(outer.below(m.Value.Line, legacyName), "is an old name, which az still accepts", "rename it to "+modulesName)
				root.At(outer.path...).Members[i].Name = modulesName
				return
			}
		}
	}
}

// manifest finds the modules' content in a document. It returns nil if there is none.
func (r *report) manifest(root *jsontree.Value) *Manifest {
	r.renameLegacy(root)
	m := &Manifest{file: r.file, root: root, content: root.Get(modulesName)}
	m.at = place{path: []string{modulesName}}
	if m.content == nil {
		m.content, m.at = root.At(contentName, modulesName), place{path: []string{contentName, modulesName}}
	}
	switch {
	case m.content == nil:
		r.fault(place{}, "is not a deployment: it has neither modulesContent nor content/modulesContent", "pass a deployment manifest or a template")
	case !m.content.Is(jsontree.Object):
		r.fault(m.at.below(m.content.Line), "must be an object, with a member for each module", "see IoT Edge's documentation of deployment manifests")
	default:
		m.at.line = m.content.Line
		if at, ok := m.tooManyMembers(); ok {
			r.fault(at, fmt.Sprintf("has more than %d members", maxMembers), "remove some: no hub accepts that many")
			return nil
		}
		return m
	}
	return nil
}

// tooManyMembers returns a place with more than maxMembers members, if there is one.
func (m *Manifest) tooManyMembers() (at place, ok bool) {
	if len(m.content.Members) > maxMembers {
		return m.at, true
	}
	for _, section := range m.content.Members {
		if len(section.Value.All()) > maxMembers {
			return m.at.below(section.Value.Line, section.Name), true
		}
	}
	return place{}, false
}

// tree parses a JSON document. It returns nil if the document is invalid.
func (r *report) tree(doc []byte) *jsontree.Value {
	if len(doc) > maxFile { // only expansion can cause it: read rejects larger files
		r.fault(place{}, fmt.Sprintf("is larger than %d MB after its variables are expanded", maxFile>>20), "shorten the values of its variables")
		return nil
	}
	root, duplicates, err := jsontree.Parse(doc)
	if err != nil {
		at := place{}
		if syntax, ok := errors.AsType[*jsontree.SyntaxError](err); ok {
			at.line, err = syntax.Line, syntax.Err
		}
		r.fault(at, "is not valid JSON: "+err.Error(), "fix it; comments and trailing commas are not allowed")
		return nil
	}
	for _, d := range duplicates {
		what := "is given twice"
		if slices.Contains(d.Path, "routes") {
			what = "is a route that is given twice"
		}
		r.fault(place{d.Line, d.Path}, fmt.Sprintf("%s, first on line %d", what, d.First), "remove one of them, or rename it")
	}
	return root
}

// read reads a file of at most maxFile bytes. It returns nil after a problem.
func (r *report) read() []byte {
	f, err := os.Open(r.file)
	if err != nil {
		r.fault(place{}, unwrapPath(err), "pass a readable file")
		return nil
	}
	defer func() { _ = f.Close() }()
	doc, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		r.fault(place{}, unwrapPath(err), "pass a readable file")
		return nil
	case len(doc) > maxFile:
		r.fault(place{}, fmt.Sprintf("is larger than %d MB", maxFile>>20), "pass a deployment manifest or a template")
		return nil
	}
	return append([]byte{}, doc...) // never nil
}

// unwrapPath returns the text of a file system error without the file's name, which a
// problem already has.
func unwrapPath(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Op + ": " + e.Err.Error()
	}
	return err.Error()
}

// File returns the name of the manifest's file.
func (m *Manifest) File() string { return m.file }

// JSON returns the whole document, indented, with a line break at its end.
func (m *Manifest) JSON() []byte { return m.root.Indent() }

// Content returns {"modulesContent": ...} as compact JSON: the format that IoT Hub
// accepts as the content of a configuration and for a single device.
func (m *Manifest) Content() []byte {
	content := jsontree.NewObject()
	content.Set(modulesName, m.content)
	return content.Compact()
}

// Header returns the header that the file contains.
func (m *Manifest) Header() Header {
	var h Header
	if v := m.root.Get("id"); v.Is(jsontree.String) {
		h.ID = v.Text
	}
	if v := m.root.Get("targetCondition"); v.Is(jsontree.String) {
		h.TargetCondition = v.Text
	}
	if v := m.root.Get("priority"); v.Is(jsontree.Number) {
		if n, err := strconv.Atoi(v.Text); err == nil {
			h.Priority = &n
		}
	}
	return h
}

// Layered reports whether the manifest is a layer, which IoT Hub puts on top of a full
// deployment. A layer's $edgeAgent has no properties.desired, but at most parts of it.
func (m *Manifest) Layered() bool { return m.content.Get(agentName).Get(desiredName) == nil }

// Images returns the images of the modules that the manifest defines, by the modules'
// names. The runtime's modules are edgeAgent and edgeHub.
func (m *Manifest) Images() map[string]string {
	images := make(map[string]string)
	for _, s := range m.settings() {
		if image := s.get("image"); image.Is(jsontree.String) {
			images[s.module] = image.Text
		}
	}
	return images
}

// Twin returns a module's section of the manifest as JSON: an object with
// properties.desired or with parts of it. It returns nil if there is none.
func (m *Manifest) Twin(module string) []byte {
	section := m.content.Get(module)
	if section == nil {
		return nil
	}
	return section.Compact()
}

// part is one member of a module's section: all desired properties, or a part of them
// under a name with dots.
type part struct {
	key   string   // the member's name
	names []string // path below the desired properties; empty for all of them
	value *jsontree.Value
	at    place
}

// parts returns the parts that the manifest has for a module. It ignores members that
// are not desired properties.
func (m *Manifest) parts(module string) []part {
	var parts []part
	for _, member := range m.content.Get(module).All() {
		names, ok := partNames(member.Name)
		if ok {
			parts = append(parts, part{member.Name, names, member.Value, m.at.below(member.Value.Line, module, member.Name)})
		}
	}
	return parts
}

// partsByDepth returns the parts in the order in which they apply: all desired properties
// before parts of them.
func (m *Manifest) partsByDepth(module string) []part {
	parts := m.parts(module)
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(len(a.names), len(b.names)) })
	return parts
}

// partNames splits a name like properties.desired.modules.camera into the path below
// properties.desired. ok is false for other names.
func partNames(key string) (names []string, ok bool) {
	if key == desiredName {
		return nil, true
	}
	rest, ok := strings.CutPrefix(key, desiredName+".")
	if !ok {
		return nil, false
	}
	return strings.Split(rest, "."), true
}

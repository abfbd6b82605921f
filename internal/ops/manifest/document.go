package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// What is far above what a hub takes, and bounds the time and the memory that a file
// costs.
const (
	maxFile    = 1 << 20 // bytes, also once variables are put in
	maxMembers = 2000    // modules, and parts of one module's properties
)

// Names in a manifest.
const (
	agentName   = "$edgeAgent"
	hubName     = "$edgeHub"
	desiredName = "properties.desired" // a module's desired properties; a part of them has its path after a dot
	modulesName = "modulesContent"
	contentName = "content"
)

// Manifest is a deployment's document: not changed after it was made, and safe for
// concurrent use.
type Manifest struct {
	file    string
	root    *jsontree.Value
	content *jsontree.Value // modulesContent
	at      place           // of content
}

// Header is what a deployment at a hub has beside its content. A file has it if az iot
// edge deployment show wrote it.
type Header struct {
	ID              string
	Priority        *int // nil if the file has none
	TargetCondition string
}

// Parse reads the document of a manifest; file is its name, for problems. A member
// that is given twice is an error, as other readers take one of them without a word.
// The manifest is nil if the document is none.
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

// manifest finds the modules' content in a document.
func (r *report) manifest(root *jsontree.Value) *Manifest {
	m := &Manifest{file: r.file, root: root, content: root.Get(modulesName)}
	m.at = place{path: []string{modulesName}}
	if m.content == nil {
		m.content, m.at = root.At(contentName, modulesName), place{path: []string{contentName, modulesName}}
	}
	switch {
	case m.content == nil && root.Get("moduleContent") != nil:
		r.fault(place{path: []string{"moduleContent"}}, "is a name that IoT Hub does not know any more", "call it "+modulesName)
	case m.content == nil:
		r.fault(place{}, "is no deployment: there is neither modulesContent nor content/modulesContent", "name a deployment manifest or its template")
	case !m.content.Is(jsontree.Object):
		r.fault(m.at.below(m.content.Line), "must be an object, with a member for each module", "see the documents on deployment manifests")
	default:
		m.at.line = m.content.Line
		if at, ok := m.tooManyMembers(); ok {
			r.fault(at, fmt.Sprintf("has more than %d members", maxMembers), "leave some out: no hub takes as many")
			return nil
		}
		return m
	}
	return nil
}

// crowd is a place with more members than a hub could take.
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

// tree reads a JSON document; nil if it is none.
func (r *report) tree(doc []byte) *jsontree.Value {
	if len(doc) > maxFile { // a file that is larger was not read
		r.fault(place{}, fmt.Sprintf("is larger than %d MB once its variables are put in", maxFile>>20), "shorten the values of its variables")
		return nil
	}
	root, duplicates, err := jsontree.Parse(doc)
	if err != nil {
		at := place{}
		if syntax, ok := errors.AsType[*jsontree.SyntaxError](err); ok {
			at.line, err = syntax.Line, syntax.Err
		}
		r.fault(at, "is no JSON: "+err.Error(), "mend it; comments and a comma after the last member are not allowed")
		return nil
	}
	for _, d := range duplicates {
		what := "is given twice"
		if slices.Contains(d.Path, "routes") {
			what = "is a route that is given twice"
		}
		r.fault(place{d.Line, d.Path}, fmt.Sprintf("%s, first on line %d", what, d.First), "remove one of them, or give it a name of its own")
	}
	return root
}

// read reads a file; nil if it cannot.
func (r *report) read() []byte {
	f, err := os.Open(r.file)
	if err != nil {
		r.fault(place{}, unwrapPath(err), "name a file that can be read")
		return nil
	}
	defer func() { _ = f.Close() }()
	doc, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		r.fault(place{}, unwrapPath(err), "name a file that can be read")
		return nil
	case len(doc) > maxFile:
		r.fault(place{}, fmt.Sprintf("is larger than %d MB", maxFile>>20), "name a deployment manifest or its template")
		return nil
	}
	return append([]byte{}, doc...) // never nil
}

// unwrapPath is an error of the file system without the file's name, which stands
// before it.
func unwrapPath(err error) string {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Op + ": " + e.Err.Error()
	}
	return err.Error()
}

// File is where the manifest is from.
func (m *Manifest) File() string { return m.file }

// JSON is the whole document, indented, with a line break at its end.
func (m *Manifest) JSON() []byte { return m.root.Indent() }

// Content is {"modulesContent": ...}, without blanks: what IoT Hub takes as the content
// of a configuration, and for one device.
func (m *Manifest) Content() []byte {
	content := jsontree.NewObject()
	content.Set(modulesName, m.content)
	return content.Compact()
}

// Header is what the file tells of the deployment.
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

// Layered tells whether this is a layer, which a device takes on top of a full
// deployment: one whose $edgeAgent has parts of its desired properties at most.
func (m *Manifest) Layered() bool { return m.content.Get(agentName).Get(desiredName) == nil }

// Images are the images of the modules that the manifest defines, by the modules'
// names; those of the runtime are edgeAgent and edgeHub.
func (m *Manifest) Images() map[string]string {
	images := make(map[string]string)
	for _, s := range m.settings() {
		if image := s.get("image"); image.Is(jsontree.String) {
			images[s.module] = image.Text
		}
	}
	return images
}

// Twin is what the manifest has for the module's desired properties, as JSON: an
// object with properties.desired, or with parts of it; nil if there is nothing.
func (m *Manifest) Twin(module string) []byte {
	section := m.content.Get(module)
	if section == nil {
		return nil
	}
	return section.Compact()
}

// part is a piece of a module's desired properties: all of them, or what stands under
// a name with dots.
type part struct {
	key   string   // as the section has it
	names []string // down from the desired properties; none for all of them
	value *jsontree.Value
	at    place
}

// parts are the pieces that the manifest has for a module; what is no piece of the
// desired properties is left out.
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

// partNames divides a name like properties.desired.modules.camera.
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

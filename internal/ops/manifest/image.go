package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// The placeholders for images: a folder below MODULES_PATH, or a path relative to the
// template. Both may end in .platform or .debug; without it, the default platform is
// used.
var (
	inModules = regexp.MustCompile(`^\$\{MODULES\.([^{}]+)\}$`)
	inFolder  = regexp.MustCompile(`^\$\{MODULEDIR<([^{}]+)>(?:\.([^{}]+))?\}$`)
)

func isImagePlaceholder(text string) bool {
	return strings.Contains(text, "${MODULES.") || strings.Contains(text, "${MODULEDIR<")
}

func index(i int) string { return strconv.Itoa(i) }

// images resolves the image placeholders of one template.
type images struct {
	env      *environment
	folder   string             // the template's folder
	platform string             // the default platform
	modules  map[string]*module // by folder
}

// module is the content of a module.json.
type module struct {
	file       string
	repository string
	version    string
	platforms  []string
	problems   Problems // why it is unusable
}

// expand replaces the image placeholder of one module. Placeholders with an unknown
// syntax stay; reportPlaceholders reports them.
func (i *images) expand(r *report, s settings) {
	image := s.get("image")
	if s.system || !image.Is(jsontree.String) || !isImagePlaceholder(image.Text) {
		return
	}
	folder, suffix, ok := i.resolve(image.Text)
	if !ok {
		return
	}
	name := i.name(r, folder, suffix, s.place("image"))
	if name == "" {
		name = unresolved
	}
	image.Text = name
}

// unresolved replaces an image that already has a problem.
const unresolved = "unresolved"

// resolve returns the folder of the module.json and the placeholder's suffix, which names
// a platform. ok is false if the placeholder's syntax is unknown.
func (i *images) resolve(placeholder string) (folder, suffix string, ok bool) {
	if match := inFolder.FindStringSubmatch(placeholder); match != nil {
		// Templates from Windows contain backslashes.
		return filepath.Join(i.folder, filepath.FromSlash(strings.ReplaceAll(match[1], `\`, "/"))), match[2], true
	}
	match := inModules.FindStringSubmatch(placeholder)
	if match == nil || strings.ContainsAny(match[1], `/\`) {
		return "", "", false
	}
	modules := filepath.Join(i.folder, filepath.FromSlash(i.env.setting("MODULES_PATH")))
	// A folder's name may contain dots. The longest name that exists wins.
	for name := match[1]; ; {
		if _, err := os.Stat(filepath.Join(modules, name, "module.json")); err == nil {
			return filepath.Join(modules, name), strings.TrimPrefix(match[1][len(name):], "."), true
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 1 {
			name, suffix, _ = strings.Cut(match[1], ".")
			return filepath.Join(modules, name), suffix, true
		}
		name = name[:dot]
	}
}

// name returns repository:version-platform, or "" after a problem.
func (i *images) name(r *report, folder, suffix string, at place) string {
	m := i.module(folder)
	if len(m.problems) > 0 {
		r.list = append(r.list, m.problems...)
		m.problems = nil // report each only once
		return ""
	}
	if m.repository == "" {
		return ""
	}
	platform := suffix
	switch suffix {
	case "":
		platform = i.platform
	case "debug":
		platform = i.platform + ".debug"
	}
	if !slices.Contains(m.platforms, platform) {
		r.fault(at, fmt.Sprintf("there is no platform %s in %s, which has %s", printable(platform), m.file, printable(strings.Join(m.platforms, ", "))),
			"add it there under image/tag/platforms, or choose another platform with --platform, DEFAULT_PLATFORM or the placeholder")
		return ""
	}
	tag := m.version
	if extra := i.env.setting("CONTAINER_TAG"); extra != "" {
		tag += "-" + extra
	}
	return strings.ToLower(m.repository) + ":" + tag + "-" + platform
}

// module returns the module.json of a folder. It reads each file once.
func (i *images) module(folder string) *module {
	m, ok := i.modules[folder]
	if !ok {
		m = i.readModule(filepath.Join(folder, "module.json"))
		i.modules[folder] = m
	}
	return m
}

func (i *images) readModule(file string) *module {
	m := &module{file: file, version: "0.0.0"}
	r := &report{file: file}
	defer func() { m.problems = r.list }()
	doc := r.read()
	if doc == nil {
		r.list[0].Remedy = "create the module's folder and its module.json, or change the placeholder"
		return m
	}
	x := &expansion{env: i.env, unusable: map[string]string{}}
	root := r.tree(x.expand(doc))
	if root == nil {
		return m
	}
	x.reportPlaceholders(r, root)
	repository, version, platforms := root.At("image", "repository"), root.At("image", "tag", "version"), root.At("image", "tag", "platforms")
	if !repository.Is(jsontree.String) || repository.Text == "" {
		r.fault(place{path: []string{"image", "repository"}}, "is missing", "write the image's name there, with its registry and without a tag")
		return m
	}
	if version.Is(jsontree.String) && version.Text != "" {
		m.version = version.Text
	}
	for _, p := range platforms.All() {
		m.platforms = append(m.platforms, p.Name)
	}
	if len(m.platforms) == 0 {
		r.fault(place{path: []string{"image", "tag", "platforms"}}, "is missing", `write an object there, such as {"amd64": "./Dockerfile.amd64"}`)
	}
	m.repository = repository.Text
	return m
}

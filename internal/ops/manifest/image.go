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

// Placeholders for images. A folder is one below MODULES_PATH, a path begins at the
// template; both end in .platform or .debug, or in nothing for the default platform.
var (
	inModules = regexp.MustCompile(`^\$\{MODULES\.([^{}]+)\}$`)
	inFolder  = regexp.MustCompile(`^\$\{MODULEDIR<([^{}]+)>(?:\.([^{}]+))?\}$`)
)

func isImagePlaceholder(text string) bool {
	return strings.Contains(text, "${MODULES.") || strings.Contains(text, "${MODULEDIR<")
}

func index(i int) string { return strconv.Itoa(i) }

// images are the modules of one template.
type images struct {
	env      *environment
	folder   string // the template's
	platform string // the default one
	modules  map[string]*module
}

// module is what a module.json says of an image.
type module struct {
	file       string
	repository string
	version    string
	platforms  []string
	problems   Problems // why it will not do
}

// expand puts in the image of one module. A placeholder that it cannot resolve stays,
// with a problem.
func (i *images) expand(r *report, s settings) {
	image := s.get("image")
	if s.system || !image.Is(jsontree.String) || !isImagePlaceholder(image.Text) {
		return
	}
	folder, suffix, ok := i.resolve(image.Text)
	if !ok {
		return // it is told with the others that are left
	}
	name := i.name(r, folder, suffix, s.place("image"))
	if name == "" {
		name = unresolved
	}
	image.Text = name
}

// unresolved stands for an image that there is a problem with already.
const unresolved = "unresolved"

// resolve is the folder with the module.json, and what the placeholder says of the
// platform.
func (i *images) resolve(placeholder string) (folder, suffix string, ok bool) {
	if match := inFolder.FindStringSubmatch(placeholder); match != nil {
		// On Windows, people write backslashes, which stand twice in JSON.
		return filepath.Join(i.folder, filepath.FromSlash(strings.ReplaceAll(match[1], `\`, "/"))), match[2], true
	}
	match := inModules.FindStringSubmatch(placeholder)
	if match == nil || strings.ContainsAny(match[1], `/\`) {
		return "", "", false
	}
	modules := filepath.Join(i.folder, filepath.FromSlash(i.env.setting("MODULES_PATH")))
	// A folder may have dots in its name; the longest that is there is meant.
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

// name is repository:version-platform, or empty with a problem.
func (i *images) name(r *report, folder, suffix string, at place) string {
	m := i.module(folder)
	if len(m.problems) > 0 {
		r.list = append(r.list, m.problems...)
		m.problems = nil // each once
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
			"add it there under image/tag/platforms, or choose another one by --platform, DEFAULT_PLATFORM or the placeholder")
		return ""
	}
	tag := m.version
	if extra := i.env.setting("CONTAINER_TAG"); extra != "" {
		tag += "-" + extra
	}
	return strings.ToLower(m.repository) + ":" + tag + "-" + platform
}

// module reads a module.json, once.
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
		r.list[0].Remedy = "make the module's folder and its module.json, or write another one into the placeholder"
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
		r.fault(place{path: []string{"image", "tag", "platforms"}}, "is missing", `write an object there, as {"amd64": "./Dockerfile.amd64"}`)
	}
	m.repository = repository.Text
	return m
}

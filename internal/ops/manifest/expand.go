package manifest

import (
	"os"
	"path/filepath"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Source is a template and what it is expanded with.
type Source struct {
	// File is the template, as deployment.template.json.
	File string
	// EnvFile is a file with variables; none if empty. FindEnv is the one that
	// iotedgedev takes.
	EnvFile string
	// Lookup is the environment, which comes before EnvFile, as in iotedgedev:
	// os.LookupEnv. If nil, it has nothing in it.
	Lookup func(name string) (value string, ok bool)
	// Platform is the one of placeholders that name none. If empty, the variable
	// DEFAULT_PLATFORM has it, and else it is amd64.
	Platform string
}

// FindEnv is the .env file that goes with a template: the one that the variable
// DOTENV_FILE names, .env in the current folder, or .env beside the template, where VS
// Code looks for it. Empty if there is none of them.
func FindEnv(template string, lookup func(string) (string, bool)) string {
	if named, _ := lookup("DOTENV_FILE"); strings.Trim(named, `"'`) != "" {
		return strings.Trim(named, `"'`)
	}
	for _, file := range []string{".env", filepath.Join(filepath.Dir(template), ".env")} {
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
	}
	return ""
}

// Expand makes a manifest from a template, full or layered, as iotedgedev does: it puts
// in variables and the names of images, turns createOptions into text in pieces, and
// takes out $schema-template. There is no manifest if there is an error among the
// problems. It does not judge what it made: see Validate.
func Expand(s Source) (*Manifest, Problems) {
	r := &report{file: s.File}
	env := s.environment(r)
	doc := r.read()
	if doc == nil || r.list.Err() != nil {
		return nil, r.list
	}
	m := expandDocument(r, env, s.Platform, doc)
	if r.list.Err() != nil {
		return nil, r.list
	}
	return m, r.list
}

func (s Source) environment(r *report) *environment {
	env := &environment{lookup: s.Lookup, file: s.EnvFile}
	if env.lookup == nil {
		env.lookup = func(string) (string, bool) { return "", false }
	}
	if s.EnvFile == "" {
		return env
	}
	envReport := &report{file: s.EnvFile}
	if doc := envReport.read(); doc != nil {
		env.values = envReport.dotenv(doc, env.lookup)
	}
	r.list = append(r.list, envReport.list...)
	return env
}

func expandDocument(r *report, env *environment, platform string, doc []byte) *Manifest {
	if platform == "" {
		platform = env.setting("DEFAULT_PLATFORM")
	}
	x := &expansion{env: env, unusable: map[string]string{}}
	m := r.parse(x.expand(doc))
	if m == nil {
		return nil
	}
	m.root.Delete(templateMark)
	i := &images{env: env, folder: filepath.Dir(r.file), platform: platform, modules: map[string]*module{}}
	for _, s := range m.settings() {
		i.expand(r, s)
		r.cutOptions(s)
	}
	x.reportPlaceholders(r, m.root)
	return m
}

// templateMark is a member that only templates have.
const templateMark = "$schema-template"

// Load reads a manifest, and expands it before if it is a template: if it has
// $schema-template, or its name has .template. in it. There is no manifest if there is
// an error among the problems.
func Load(s Source) (*Manifest, Problems) {
	r := &report{file: s.File}
	doc := r.read()
	if doc == nil {
		return nil, r.list
	}
	if isTemplate(s.File, doc) {
		return Expand(s)
	}
	m := r.parse(doc)
	if r.list.Err() != nil {
		return nil, r.list
	}
	return m, r.list
}

func isTemplate(file string, doc []byte) bool {
	if strings.Contains(filepath.Base(file), ".template.") {
		return true
	}
	// What is no JSON before variables are put in may be a template all the same.
	x := &expansion{env: &environment{lookup: func(string) (string, bool) { return "", false }}, unusable: map[string]string{}}
	root, _, err := jsontree.Parse(x.expand(doc))
	return err == nil && root.Get(templateMark) != nil
}

package manifest

import (
	"os"
	"path/filepath"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// Source is a template and the inputs of its expansion.
type Source struct {
	// File is the template, such as deployment.template.json.
	File string
	// EnvFile is a file with variables; empty for none. FindEnv finds the one that
	// iotedgedev uses.
	EnvFile string
	// Lookup is the environment, usually os.LookupEnv. It takes precedence over EnvFile, as
	// in iotedgedev. If nil, the environment is empty.
	Lookup func(name string) (value string, ok bool)
	// Platform is the platform of placeholders that name none. If empty, it is the variable
	// DEFAULT_PLATFORM, else amd64.
	Platform string
}

// FindEnv returns the first of: the file that the variable DOTENV_FILE names, .env in the
// current folder, and .env in the template's folder, where VS Code looks for it. It
// returns "" if there is none.
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

// Expand makes a manifest from a full or layered template, as iotedgedev does. It replaces
// variables and image placeholders, splits createOptions into pieces of text, and removes
// $schema-template. The manifest is nil if any problem is an error. Expand does not
// validate the result; see Validate.
func Expand(s Source) (*Manifest, Problems) {
	r := &report{file: s.File}
	doc := r.readText()
	if doc == nil {
		return nil, r.list
	}
	return s.expand(r, doc)
}

// expand expands a template that was read. The file may be a pipe, so that it cannot be
// read again.
func (s Source) expand(r *report, doc []byte) (*Manifest, Problems) {
	env := s.environment(r)
	if r.list.Err() != nil {
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
		r.splitOptions(s)
	}
	x.reportPlaceholders(r, m.root)
	return m
}

// templateMark is a member that identifies templates.
const templateMark = "$schema-template"

// Load reads a manifest. It expands a template first: a file with the member
// $schema-template, or with .template. in its name. The manifest is nil if any problem is
// an error.
func Load(s Source) (*Manifest, Problems) {
	r := &report{file: s.File}
	doc := r.readText()
	if doc == nil {
		return nil, r.list
	}
	if isTemplate(s.File, doc) {
		return s.expand(r, doc)
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
	// A template need not be valid JSON before its variables are expanded.
	x := &expansion{env: &environment{lookup: func(string) (string, bool) { return "", false }}, unusable: map[string]string{}}
	root, _, err := jsontree.Parse(x.expand(doc))
	return err == nil && root.Get(templateMark) != nil
}

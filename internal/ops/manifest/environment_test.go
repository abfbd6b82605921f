package manifest_test

import (
	"path/filepath"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest"
)

// Between braces a name has any characters, as in Python's os.path.expandvars, which was
// run on these texts with these variables.
func TestExpand_variableNames(t *testing.T) {
	env := variables(map[string]string{"A": "one", "my-b": "two", "c.d": "three", "e f:g": "four", "MODULES.set": "five", "é": "six"})
	for text, want := range map[string]string{
		`${A} $A ${my-b}`:    `one one two`,
		`${c.d}${e f:g}`:     `threefour`,
		`${MODULES.set}`:     `five`,
		`${é} $é`:            `six $é`,
		`$my-b $A-x $Ax`:     `$my-b one-x $Ax`,
		`$ $$A {A} ${A}} \\`: `$ $one {A} one} \\`,
	} {
		m, problems := expandText(t, `"`+text+`"`, env)
		if m == nil || len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if got := string(m.Content()); !strings.Contains(got, `{"a":"`+want+`"}`) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// A reference that is left is an error. It names the variable, unless the text may hold a
// default or is a misspelt placeholder.
func TestExpand_variablesLeft(t *testing.T) {
	env := variables(map[string]string{"A": "one", "not-json": "x", "quo.te": `"`})
	for value, want := range map[string]string{
		`"${my-b}"`:       "my-b is not set",
		`${my-b}`:         "my-b is not set",
		`${not-json}`:     "not-json is used outside of quotes",
		`"${quo.te}"`:     "quo.te has a value with a quote",
		`"${A:-default}"`: "has an unknown placeholder",
		`${A:-default}`:   "has an unknown placeholder",
		`"${}"`:           "has an unknown placeholder",
		`"${x${A}"`:       "has an unknown placeholder", // the name is x${A
		`"${A", "b": "}"`: "has an unknown placeholder",
		`"${MODULES.x}"`:  "where none is expanded",
		`"${MODULE.x}"`:   "has an unknown placeholder",
	} {
		m, problems := expandText(t, value, env)
		if m != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, want) || strings.Contains(problems[0].String(), "default") {
			t.Errorf("%s: got %v, want %s", value, problems, want)
		}
	}
}

// A line of the .env file that cannot be read costs that line and a warning.
func TestExpand_unreadableLine(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.template.json": `{"modulesContent": {"x": {"properties.desired": {"a": "${A}", "b": "${my-b}"}}}}`,
		".env":            "A=one\nNOTE: ask Ann\nmy-b=two\n",
	})
	env := filepath.Join(dir, ".env")
	m, problems := manifest.Expand(manifest.Source{File: filepath.Join(dir, "a.template.json"), EnvFile: env})
	if m == nil || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), env+":2: warning: is not NAME=VALUE") {
		t.Fatalf("got %v, %v", m, problems)
	}
	if got, want := string(m.Content()), `{"modulesContent":{"x":{"properties.desired":{"a":"one","b":"two"}}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// expandText expands a template with one value, in JSON.
func expandText(t *testing.T, value string, env func(string) (string, bool)) (*manifest.Manifest, manifest.Problems) {
	t.Helper()
	dir := folder(t, map[string]string{"x.template.json": `{"modulesContent": {"x": {"properties.desired": {"a": ` + value + `}}}}`})
	return manifest.Expand(manifest.Source{File: filepath.Join(dir, "x.template.json"), Lookup: env})
}

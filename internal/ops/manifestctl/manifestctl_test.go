package manifestctl_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/ops/manifest"
	"rtsptunnel/internal/ops/manifestctl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// env is the surroundings of a command.
type env struct {
	dir       string // the solution; it is the current folder
	variables map[string]string
	stdout    io.Writer // replaces the buffer of run, if not nil
}

// start copies a solution and changes to its folder.
func start(t *testing.T) *env {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../manifest/testdata/solution")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "site.env"), filepath.Join(dir, ".env")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	return &env{dir: dir}
}

func (e *env) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	var w io.Writer = &out
	if e.stdout != nil {
		w = e.stdout
	}
	program := cli.Program{
		Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{manifestctl.Command()},
		CheckArguments: hubaccess.CheckArguments, Advise: hubaccess.Advice,
	}
	code = program.Run(t.Context(), append([]string{"manifest"}, args...), cli.IO{
		Out: w, Err: &errs,
		Lookup: func(name string) (string, bool) { value, ok := e.variables[name]; return value, ok },
	})
	if strings.Contains(errs.String(), "canary") {
		t.Errorf("%v: a secret is written:\n%s", args, errs.String())
	}
	return code, out.String(), errs.String()
}

// must runs a verb that has to succeed and writes only its result.
func (e *env) must(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := e.run(t, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%v: exit code %d, stderr:\n%s", args, code, stderr)
	}
	return stdout
}

// refused runs a verb that has to fail with an exit code and these words. It must write
// nothing to standard output and into the folder.
func (e *env) refused(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	before := tree(t, ".")
	got, stdout, stderr := e.run(t, args...)
	if got != code || stdout != "" {
		t.Errorf("%.200q: exit code %d, want %d; stdout %q", args, got, code, stdout)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			t.Errorf("%.200q: no %q in:\n%s", args, word, stderr)
		}
	}
	if diff := cmp.Diff(before, tree(t, ".")); diff != "" {
		t.Errorf("%.200q wrote files: %s", args, diff)
	}
}

// tree returns the files below dir, with their contents.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	template = "deployment.template.json"
	layer    = "deployment.layered.template.json"
)

func TestHelp(t *testing.T) {
	e := &env{}
	for _, c := range []struct{ args, word string }{
		{"--help", "merge BASE LAYER..."},
		{"help", "Exit codes: 0 done;"},
		{"expand --help", "--output FILE"},
		{"expand x -h", "Usage: tunnelctl manifest expand FILE [flags]"},
		{"validate --help", "--strict"},
		{"merge --help", "--explain"},
	} {
		if got := e.must(t, strings.Fields(c.args)...); !strings.HasPrefix(got, "Usage: tunnelctl manifest ") || !strings.Contains(got, c.word) {
			t.Errorf("%s: no %q in:\n%s", c.args, c.word, got)
		}
	}
}

func TestArguments(t *testing.T) {
	e := start(t)
	for _, c := range []struct{ args, word string }{
		{"", "manifest needs a command\nSee tunnelctl manifest --help."},
		{"dance", `unknown command "dance"`},
		{"expand", "FILE is missing\nSee tunnelctl manifest expand --help."},
		{"expand a b", `unexpected argument "b"`},
		{"expand a --nope", "-nope"},
		{"merge", "BASE is missing"},
		{"merge a --modules --twin x", "--modules stands alone"},
		{"merge a b@99999999999", "priority of"},
		{"validate a -- --strict", `unexpected argument "--strict"`},
	} {
		e.refused(t, 2, []string{c.word}, strings.Fields(c.args)...)
	}
}

func TestExpand(t *testing.T) {
	e := start(t)
	want := read(t, "expanded/deployment.json")
	if got := e.must(t, "expand", template); got != want {
		t.Errorf("standard output: %s", cmp.Diff(want, got))
	}
	if got := e.must(t, "expand", template, "--output", "out.json"); got != "" || read(t, "out.json") != want {
		t.Errorf("--output: %s, %s", got, cmp.Diff(want, read(t, "out.json")))
	}
	info, err := os.Stat("out.json")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a file that has a password in it: %v, %v", info.Mode(), err)
	}
	write(t, "other.env", strings.ReplaceAll(read(t, ".env"), "registry.example/Team", "other.example"))
	if got := e.must(t, "expand", "--env", "other.env", "--platform", "arm32v7", template); !strings.Contains(got, `"other.example/filter:0.2.0-arm32v7"`) {
		t.Errorf("with another .env and platform:\n%s", got)
	}
}

// Errors in a template are reported with file, path and remedy. An existing output file
// stays as it is.
func TestExpand_wrong(t *testing.T) {
	e := start(t)
	good := read(t, template)
	write(t, "out.json", "before")
	for _, c := range []struct {
		from, to string
		words    []string
	}{
		{"${LIMIT}", "${LIMITS}", []string{template + ":", "modules/filter/env/LIMIT/value: LIMITS is not set; set it in the environment or .env"}},
		{"0123456789", strings.Repeat("0123456789", 9), []string{template + ":", "modules/filter/settings/createOptions: is ", "at most 4096 fit into the 8 pieces of a template's createOptions; shorten it"}},
		{"${MODULES.filter}", "${MODUL.filter}", []string{template + ":", "modules/filter/settings/image: has an unknown placeholder; use ${VARIABLE}"}},
		{`"filterToHub"`, `"probeToFilter"`, []string{template + ":", "routes/probeToFilter: is a route that is given twice, first on line ", "; remove one of them"}},
		{`"cameras": {`, `"cameras": {"yard": {"host": "192.0.2.9", "port": 8554}, `, []string{
			template + ":", "rtsptunnel/properties.desired/cameras/yard/localPort: 8554 is already the local port of camera front, at modulesContent/rtsptunnel/properties.desired/cameras/front/localPort; give one",
		}},
	} {
		write(t, template, strings.ReplaceAll(good, c.from, c.to))
		e.refused(t, 1, c.words, "expand", template)
		e.refused(t, 1, c.words, "expand", template, "--output", "out.json")
		e.refused(t, 1, c.words, "validate", template)
	}
	write(t, template, good)
	e.refused(t, 1, []string{"none.env: open: no such file"}, "expand", template, "--env", "none.env")
	e.refused(t, 1, []string{"write the result: open nowhere/out.json"}, "expand", template, "--output", "nowhere/out.json")
}

func TestValidate(t *testing.T) {
	e := start(t)
	for file, want := range map[string]string{template: "a full deployment", "expanded/deployment.json": "a full deployment", layer: "a layer"} {
		if got := e.must(t, "validate", file); got != file+": valid, "+want+", warnings: 0\n" {
			t.Errorf("%s: %s", file, got)
		}
	}
	write(t, "warned.json", strings.ReplaceAll(read(t, "expanded/deployment.json"), `"never"`, `"on-failure"`))
	code, stdout, stderr := e.run(t, "validate", "warned.json")
	if code != 0 || stdout != "warned.json: valid, a full deployment, warnings: 1\n" || !strings.HasPrefix(stderr, "warned.json:") || !strings.Contains(stderr, ": warning: modulesContent/") {
		t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
	}
	e.refused(t, 1, []string{": warning: ", "which are errors with --strict"}, "validate", "warned.json", "--strict")
	write(t, "other.json", strings.NewReplacer("rtsptunnel", "other", "8554", "70000").Replace(read(t, "expanded/deployment.json")))
	e.must(t, "validate", "other.json")
	e.refused(t, 1, []string{"cameras/front/localPort: must be an integer"}, "validate", "other.json", "--rtsptunnel", "other")
}

func TestValidate_json(t *testing.T) {
	e := start(t)
	type verdict struct {
		File             string
		Valid            bool
		Errors, Warnings []manifest.Problem
	}
	write(t, "wrong.json", strings.NewReplacer(`"never"`, `"on-failure"`, `"stopped"`, `"idle"`).Replace(read(t, "expanded/deployment.json")))
	for _, c := range []struct {
		args          []string
		code          int
		errs, warning int
	}{
		{[]string{template}, 0, 0, 0},
		{[]string{"wrong.json"}, 1, 1, 1},
		{[]string{"none.json"}, 1, 1, 0},
	} {
		code, stdout, stderr := e.run(t, append([]string{"validate", "--json"}, c.args...)...)
		var v verdict
		if err := json.Unmarshal([]byte(stdout), &v); err != nil {
			t.Fatalf("%v: %v in %s", c.args, err, stdout)
		}
		if code != c.code || stderr != "" || v.File != c.args[0] || v.Valid != (code == 0) || len(v.Errors) != c.errs || len(v.Warnings) != c.warning || v.Errors == nil || v.Warnings == nil {
			t.Errorf("%v: exit code %d, stderr %q, %s", c.args, code, stderr, stdout)
		}
		if c.args[0] == "wrong.json" && (v.Errors[0].Line == 0 || v.Errors[0].Path == "" || v.Errors[0].Text == "" || v.Errors[0].Remedy == "") {
			t.Errorf("an error without its parts: %s", stdout)
		}
	}
	write(t, "warned.json", strings.ReplaceAll(read(t, "expanded/deployment.json"), `"never"`, `"on-failure"`))
	for want, args := range [][]string{{"validate", "--json", "warned.json"}, {"validate", "--json", "--strict", "warned.json"}} {
		if code, stdout, _ := e.run(t, args...); code != want || !strings.Contains(stdout, `"errors": [],`) {
			t.Errorf("%v: exit code %d: %s", args, code, stdout)
		}
	}
}

func TestMerge(t *testing.T) {
	e := start(t)
	// A null in a layer removes a camera.
	write(t, "off.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.tunnels.enabled": false, "properties.desired.cameras.front": null}}}`)
	args := []string{"merge", template, "off.json@90", layer + "@20"}
	write(t, "merged.json", e.must(t, args...))
	if got := e.must(t, "validate", "merged.json"); got != "merged.json: valid, a full deployment, warnings: 0\n" {
		t.Error(got)
	}
	if got, want := e.must(t, append(args, "--twin", "rtsptunnel")...), `{
  "cameras": {
    "back": {
      "host": "192.0.2.11",
      "localPort": 8555
    }
  },
  "remoteEndpoints": {
    "service": "*.example.com"
  },
  "tunnels": {
    "enabled": false
  }
}
`; got != want {
		t.Errorf("--twin: %s", cmp.Diff(want, got))
	}
	if got, want := e.must(t, append(args, "--twin", "rtsptunnel", "--explain")...), `rtsptunnel/cameras/back/host         "192.0.2.11"      deployment.layered.template.json (priority 20)
rtsptunnel/cameras/back/localPort    8555              deployment.layered.template.json (priority 20)
rtsptunnel/remoteEndpoints/service   "*.example.com"   deployment.template.json
rtsptunnel/tunnels/enabled           false             off.json (priority 90)
`; got != want {
		t.Errorf("--explain: %s", cmp.Diff(want, got))
	}
	if got, want := e.must(t, append(args, "--modules")...), `MODULE       IMAGE                                          STATUS    RESTART   FROM
edgeAgent    mcr.microsoft.com/azureiotedge-agent:1.6       -         -         deployment.template.json
edgeHub      mcr.microsoft.com/azureiotedge-hub:1.6         running   always    deployment.template.json
filter       registry.example/team/filter:0.2.0-amd64       running   always    deployment.template.json
rtsptunnel   registry.example/team/rtsptunnel:0.1.0-amd64   running   always    deployment.layered.template.json (priority 20), over deployment.template.json
probe        registry.example/probe:0.0.0-amd64             stopped   never     deployment.template.json
`; got != want {
		t.Errorf("--modules: %s", cmp.Diff(want, got))
	}
	var leaves []manifest.Leaf
	if err := json.Unmarshal([]byte(e.must(t, append(args, "--explain", "--json")...)), &leaves); err != nil || len(leaves) < 30 {
		t.Errorf("--explain --json: %d values, %v", len(leaves), err)
	}
	var modules []manifest.Module
	if err := json.Unmarshal([]byte(e.must(t, append(args, "--modules", "--json")...)), &modules); err != nil || len(modules) != 5 {
		t.Errorf("--modules --json: %v, %v", modules, err)
	}
}

func TestMerge_wrong(t *testing.T) {
	e := start(t)
	write(t, "off.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.tunnels.enabled": false}}}`)
	write(t, "same.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras.a": {"host": "192.0.2.1", "localPort": 8554}}}}`)
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{template, "off.json@20", layer + "@20"}, []string{layer + ": has priority 20, as off.json has", "give them different priorities"}},
		{[]string{template, "off.json@20", layer}, []string{layer + ": has no priority"}},
		{[]string{template + "@30", "off.json@20"}, []string{"off.json: has priority 20, below the base " + template + " with 30"}},
		{[]string{layer, "off.json"}, []string{"must be a full deployment"}},
		{[]string{template, "same.json"}, []string{template + "+same.json: ", "8554 is already the local port of camera a, at "}},
		{[]string{template, "none.json", "none2.json"}, []string{"none.json: open: no such file", "none2.json: open: no such file"}},
		{[]string{template, "off.json", "--twin", "missing"}, []string{`no module "missing" has desired properties`, "--modules"}},
	} {
		e.refused(t, 1, c.words, slices.Concat([]string{"merge", "--output", "out.json"}, c.args)...)
	}
}

// Routes for modules that other layers bring are warnings, until all layers are known.
func TestComplete(t *testing.T) {
	e := start(t)
	route := "FROM /messages/modules/relay/outputs/* INTO $upstream"
	write(t, "base.json", strings.ReplaceAll(read(t, "expanded/deployment.json"), "FROM /messages/modules/filter/outputs/out INTO $upstream", route))
	code, stdout, stderr := e.run(t, "validate", "base.json")
	if code != 0 || !strings.HasSuffix(stdout, "warnings: 1\n") || !strings.Contains(stderr, "is for module relay, which this deployment does not have") {
		t.Errorf("exit code %d, stdout %s, stderr %s", code, stdout, stderr)
	}
	e.refused(t, 1, []string{"is for module relay, which this deployment does not have; fix the name"}, "validate", "base.json", "--complete")
	e.refused(t, 1, []string{"base.json: ", "is for module relay, which this deployment does not have; fix the name"}, "merge", "base.json")
	e.refused(t, 1, []string{"is a layer and not complete; merge it"}, "validate", layer, "--complete")
	write(t, "relay.json", `{"modulesContent": {"$edgeAgent": {"properties.desired.modules.relay": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "example/relay:1"}}}}}`)
	write(t, "merged.json", e.must(t, "merge", "base.json", "relay.json"))
	e.must(t, "validate", "merged.json", "--complete")
}

// A closed standard output, or a full disk, is an error.
func TestOutput_fails(t *testing.T) {
	e := start(t)
	e.stdout = full{}
	for _, args := range [][]string{{"--help"}, {"expand", template}, {"validate", template}, {"validate", template, "--json"}, {"merge", template, "--modules"}} {
		if code, _, stderr := e.run(t, args...); code != 1 || !strings.Contains(stderr, "write to standard output: disk full") {
			t.Errorf("%v: exit code %d, stderr %s", args, code, stderr)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A result does not overwrite an input.
func TestOutput_isNoInput(t *testing.T) {
	e := start(t)
	if err := os.Symlink(template, "link.json"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"expand", template, "--output", template},
		{"expand", template, "--output", "./link.json"},
		{"expand", template, "--output", ".env"},
		{"merge", template, layer, "--output", layer},
	} {
		e.refused(t, 2, []string{"which is an input; name another file"}, args...)
	}
}

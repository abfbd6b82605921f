package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest"
)

// mutation is a change to one file of the valid solution, and the problem that it causes.
type mutation struct {
	name     string
	file     string // deployment.template.json if empty
	old, new string // each old is replaced
	env      map[string]string
	platform string

	in      string // the problem's file; the changed one if empty
	path    string // its path, or after ... the end of the path
	text    string // a part of its text
	remedy  string // a part of its remedy
	warning bool
}

// problemsOf expands the template of a solution and validates the result.
func problemsOf(t *testing.T, dir string, m mutation) manifest.Problems {
	t.Helper()
	template := "deployment.template.json"
	if strings.HasSuffix(m.file, ".template.json") {
		template = m.file
	}
	result, problems := manifest.Expand(manifest.Source{
		File: filepath.Join(dir, template), EnvFile: filepath.Join(dir, "site.env"), Lookup: variables(m.env), Platform: m.platform,
	})
	if (result == nil) != (problems.Err() != nil) {
		t.Errorf("manifest %v, problems %v", result, problems)
	}
	if result != nil {
		problems = append(problems, manifest.Validate(result, manifest.Options{})...)
	}
	return problems
}

// change replaces a text in a file, which must contain it.
func change(t *testing.T, file, from, to string) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := strings.ReplaceAll(string(before), from, to)
	if from != to && after == string(before) {
		t.Fatalf("%s has no %s", file, from)
	}
	if err := os.WriteFile(file, []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (m mutation) test(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(solution)); err != nil {
		t.Fatal(err)
	}
	if m.file == "" {
		m.file = "deployment.template.json"
	}
	change(t, filepath.Join(dir, m.file), m.old, m.new)
	problems := problemsOf(t, dir, m)
	if m.in == "" {
		m.in = m.file
	}
	if len(problems) != 1 {
		t.Fatalf("want one problem, got %d:\n%v", len(problems), problems)
	}
	p := problems[0]
	pathIsRight := p.Path == m.path
	if end, open := strings.CutPrefix(m.path, "..."); open {
		pathIsRight = strings.HasSuffix(p.Path, end)
	}
	if p.File != filepath.Join(dir, m.in) || !pathIsRight || !strings.Contains(p.Text, m.text) || !strings.Contains(p.Remedy, m.remedy) || p.Remedy == "" || p.Warning != m.warning {
		t.Errorf("got %+v\nwant %s: %s: ...%s...; ...%s..., warning %v", p, m.in, m.path, m.text, m.remedy, m.warning)
	}
	if strings.Contains(p.String(), "canary") {
		t.Errorf("the problem contains a secret: %s", p)
	}
}

const (
	agentPath  = "modulesContent/$edgeAgent/properties.desired"
	filterPath = agentPath + "/modules/filter"
	hubPath    = "modulesContent/$edgeHub/properties.desired"
	layerPath  = "content/modulesContent/$edgeAgent/properties.desired.modules.rtsptunnel"
)

// layered is the layered template of the solution.
const layered = "deployment.layered.template.json"

var expandMutations = []mutation{
	{
		name: "missing variable", old: "${EDGE_RUNTIME_VERSION}\",\n              \"createOptions\": {}", new: "${RUNTIME}\", \"createOptions\": {}",
		path: agentPath + "/systemModules/edgeAgent/settings/image", text: "RUNTIME is not set", remedy: "set it in the environment or ",
	},
	{
		name: "missing variable outside of quotes", old: "${LIMIT}", new: "${LIMITS}",
		path: filterPath + "/env/LIMIT/value", text: "LIMITS is not set", remedy: "set it",
	},
	{
		name: "missing variable in a name", old: `"LIMIT": {`, new: `"${WHAT}": {`,
		path: filterPath + "/env/${WHAT}", text: "WHAT is not set", remedy: "set it",
	},
	{
		name: "missing variable of module.json", file: "modules/filter/module.json", old: "${CONTAINER_REGISTRY_SERVER}", new: "${REGISTRY}",
		path: "image/repository", text: "REGISTRY is not set", remedy: "set it",
	},
	{
		name: "missing variable in a layer", file: layered, old: "FROM /messages", new: "FROM ${SOURCE}",
		path: "content/modulesContent/$edgeHub/properties.desired.routes.rtsptunnelToHub", text: "SOURCE is not set", remedy: "set it",
	},
	{
		name: "a value that ends the string", env: map[string]string{"CONTAINER_REGISTRY_PASSWORD": `canary"`},
		path: agentPath + "/runtime/settings/registryCredentials/site/password", text: "CONTAINER_REGISTRY_PASSWORD has a value with a quote", remedy: "another value",
	},
	{
		name: "the same without braces", env: map[string]string{"CONTAINER_REGISTRY_USERNAME": "canary\n"},
		path: agentPath + "/runtime/settings/registryCredentials/site/username", text: "CONTAINER_REGISTRY_USERNAME has a value with a quote", remedy: "another value",
	},
	{
		name: "a value that is not in UTF-8", env: map[string]string{"CONTAINER_REGISTRY_PASSWORD": "canary\xff"},
		path: agentPath + "/runtime/settings/registryCredentials/site/password", text: "CONTAINER_REGISTRY_PASSWORD has a value that is not in UTF-8", remedy: "another value",
	},
	{
		name: "a variable in a variable", env: map[string]string{"CONTAINER_REGISTRY_PASSWORD": "${OTHER}", "OTHER": "canary"},
		path: agentPath + "/runtime/settings/registryCredentials/site/password", text: "OTHER is used in the value of another variable", remedy: "write its value there",
	},
	{
		name: "a value that is no JSON", env: map[string]string{"LIMIT": "canary"},
		path: filterPath + "/env/LIMIT/value", text: "LIMIT is used outside of quotes, but its value is not valid JSON", remedy: "another value",
	},
	{
		name: "createOptions too long", old: "0123456789", new: strings.Repeat("0123456789", 8),
		path: filterPath + "/settings/createOptions", text: "characters long as compact text; at most 4096", remedy: "shorten",
	},
	{
		name: "createOptions that are too long once escaped", old: "0123456789", new: "é123456789é123456789é123456789é123456789é123456789é123456789",
		path: filterPath + "/settings/createOptions", text: "characters long as compact text; at most 4096", remedy: "shorten",
	},
	{
		name: "createOptions of another kind", file: layered, old: `{"HostConfig": {"Memory": 100000000}}`, new: "7",
		path: layerPath + "/settings/createOptions", text: "must be an object", remedy: "{}",
	},
	{
		name: "an object beside a piece", file: layered, old: `"createOptions": {"HostConfig"`, new: `"createOptions01": "x", "createOptions": {"HostConfig"`,
		path: layerPath + "/settings/createOptions", text: "there is also createOptions01", remedy: "remove",
	},
	{
		name: "unknown placeholder", old: "${MODULES.filter}", new: "${MODULE.filter}",
		path: filterPath + "/settings/image", text: "has an unknown placeholder", remedy: "${MODULES.folder}",
	},
	{
		name: "a placeholder that does not end", old: "${MODULES.filter}", new: "example/${MODULES",
		path: filterPath + "/settings/image", text: "has an unknown placeholder", remedy: "${MODULES.folder}",
	},
	{
		name: "more than the placeholder", old: "${MODULES.filter}", new: "${MODULES.filter}-x",
		path: filterPath + "/settings/image", text: "where none is expanded", remedy: "the whole value of a module's settings/image",
	},
	{
		name: "an image elsewhere", old: `"a<b & c>d"}`, new: `"${MODULES.filter}"}`,
		path: filterPath + "/env/MODE/value", text: "where none is expanded", remedy: "settings/image",
	},
	{
		name: "an image of the runtime", old: "mcr.microsoft.com/azureiotedge-agent:${EDGE_RUNTIME_VERSION}", new: "${MODULES.filter}",
		path: agentPath + "/systemModules/edgeAgent/settings/image", text: "where none is expanded", remedy: "under modules",
	},
	{
		name: "missing module.json", old: "${MODULES.filter}", new: "${MODULES.filtre}",
		in: "modules/filtre/module.json", text: "open: no such file", remedy: "create the module's folder",
	},
	{
		name: "outside of the modules' folder", old: "${MODULES.filter}", new: "${MODULES.../filter}",
		path: filterPath + "/settings/image", text: "placeholder", remedy: "settings/image",
	},
	{
		name: "missing folder", old: "./elsewhere/probe", new: "./elsewhere/prob",
		in: "elsewhere/prob/module.json", text: "open: no such file", remedy: "create the module's folder",
	},
	{
		name: "missing platform", old: "${MODULES.filter}", new: "${MODULES.filter.arm64v8}",
		path: filterPath + "/settings/image", text: "there is no platform arm64v8 in ", remedy: "--platform",
	},
	{
		name: "missing default platform", platform: "riscv64",
		path: filterPath + "/settings/image", text: "module.json, which has amd64, amd64.debug, arm32v7", remedy: "DEFAULT_PLATFORM",
	},
	{
		name: "missing debug platform", old: "${MODULES.filter}", new: "${MODULES.filter.debug}", env: map[string]string{"DEFAULT_PLATFORM": "arm32v7"},
		path: filterPath + "/settings/image", text: "there is no platform arm32v7.debug", remedy: "image/tag/platforms",
	},
	{
		name: "module.json that is no JSON", file: "modules/filter/module.json", old: `"language": "csharp"`, new: "language",
		text: "is not valid JSON: invalid character 'l'", remedy: "fix it",
	},
	{
		name: "module.json without a repository", file: "modules/filter/module.json", old: "repository", new: "repositry",
		path: "image/repository", text: "is missing", remedy: "write the image's name",
	},
	{
		name: "module.json without platforms", file: "modules/filter/module.json", old: "platforms", new: "platform",
		path: "image/tag/platforms", text: "is missing", remedy: "Dockerfile.amd64",
	},
	{
		name: "duplicate route", old: `"filterToHub": {`, new: `"probeToFilter": {`,
		path: hubPath + "/routes/probeToFilter", text: "is a route that is given twice, first on line ", remedy: "remove one",
	},
	{
		name: "duplicate name", old: `"status": "stopped",`, new: `"status": "stopped", "status": "running",`,
		path: agentPath + "/modules/probe/status", text: "is given twice, first on line ", remedy: "remove one",
	},
	{
		name: "duplicate name in module.json", file: "modules/filter/module.json", old: `"description"`, new: `"language"`,
		path: "language", text: "is given twice, first on line 3", remedy: "remove one",
	},
	{
		name: "no JSON", old: `"startupOrder": 0,`, new: `"startupOrder": 0,,`,
		text: "is not valid JSON: invalid character ','", remedy: "comments and trailing commas",
	},
	{name: "no deployment", old: "modulesContent", new: "moduleContents", text: "is not a deployment", remedy: "pass a deployment"},
	{name: "the old name", old: "modulesContent", new: "moduleContent", path: "moduleContent", text: "is an old name", remedy: "rename it to modulesContent", warning: true},
	{name: "an invalid .env", file: "site.env", old: "EMPTY=\n", new: "canary is here\n", text: "is not NAME=VALUE", remedy: "write NAME=VALUE", warning: true},
	{name: "an .env that does not end", file: "site.env", old: "EMPTY=\n", new: "EMPTY='canary\nx\n", text: "is not NAME=VALUE", remedy: "write NAME=VALUE", warning: true},
	{name: "an .env that is not text", file: "site.env", old: "EMPTY=\n", new: "EMPTY=canary\xff\n", text: "is not in UTF-8", remedy: "save it"},
}

func TestExpand_wrong(t *testing.T) {
	for _, m := range expandMutations {
		t.Run(m.name, m.test)
	}
}

func TestExpand_files(t *testing.T) {
	dir := t.TempDir()
	for name, s := range map[string]manifest.Source{
		"no template":  {File: filepath.Join(dir, "none")},
		"a folder":     {File: dir},
		"no .env":      {File: solution + "deployment.template.json", EnvFile: filepath.Join(dir, "none")},
		"nothing":      {File: os.DevNull},
		"no .env, too": {File: filepath.Join(dir, "none"), EnvFile: dir},
	} {
		for _, read := range []func(manifest.Source) (*manifest.Manifest, manifest.Problems){manifest.Expand, manifest.Load} {
			m, problems := read(s)
			if m != nil || len(problems) == 0 || problems.Err() == nil || problems[0].Remedy == "" {
				t.Errorf("%s: %v, %v", name, m, problems)
			}
		}
	}
}

// A problem's text begins with the place in a format that editors can open.
func TestProblem_line(t *testing.T) {
	dir := folder(t, map[string]string{"x.template.json": "{\"modulesContent\": {\n\n\"x\": {\"properties.desired\":\n {\"a\": \"${NONE}\"}}}}"})
	_, problems := manifest.Expand(manifest.Source{File: filepath.Join(dir, "x.template.json")})
	want := filepath.Join(dir, "x.template.json") + ":4: modulesContent/x/properties.desired/a: NONE is not set; set it in the environment"
	if err := problems.Err(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

package packaging_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/ops/manifest"
	"rtsptunnel/internal/testkit/schematest"
)

// variables is the content of .env in the tests. The samples use registry.example.com, too.
var variables = map[string]string{
	"CONTAINER_REGISTRY_SERVER": "registry.example.com", "CONTAINER_REGISTRY_USERNAME": "puller",
	"CONTAINER_REGISTRY_PASSWORD": "none", "EDGE_RUNTIME_VERSION": "1.6",
}

// templates returns the names of all deployment templates.
func templates(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(os.DirFS(top), "deployment*.template.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("templates %v, %v", files, err)
	}
	return files
}

func isLayered(template string) bool { return strings.Contains(template, ".layered.") }

// platformNames returns the platforms of module.json.
func platformNames(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(readModule(t).Image.Tag.Platforms))
}

// expand expands a template for a platform. The template and the result must be valid.
func expand(t *testing.T, template, platform string) *manifest.Manifest {
	t.Helper()
	m, problems := manifest.Expand(manifest.Source{
		File: filepath.Join(top, template), Platform: platform,
		Lookup: func(name string) (string, bool) { value, set := variables[name]; return value, set },
	})
	return valid(t, m, problems)
}

// valid returns m if reading it gave no problems and validating it gives none.
func valid(t *testing.T, m *manifest.Manifest, problems manifest.Problems) *manifest.Manifest {
	t.Helper()
	if len(problems) == 0 {
		problems = manifest.Validate(m, manifest.Options{})
	}
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	return m
}

func TestTemplates_expand(t *testing.T) {
	for _, file := range templates(t) {
		for _, platform := range platformNames(t) {
			m := expand(t, file, platform)
			if want := "registry.example.com/rtsptunnel:" + version(t) + "-" + platform; m.Images()[ourModule] != want {
				t.Errorf("%s: the image is %s, want %s", file, m.Images()[ourModule], want)
			}
			if m.Layered() != isLayered(file) {
				t.Errorf("%s: layered is %t", file, m.Layered())
			}
		}
	}
}

// VS Code and iotedgedev validate by these schemas.
func TestTemplates_publicSchemas(t *testing.T) {
	for _, file := range templates(t) {
		if isLayered(file) {
			continue // the schemas do not cover layers; see TestSamples_layersOntoTheBase
		}
		checkPublic(t, schematest.Template, content(t, file))
		for _, platform := range platformNames(t) {
			checkPublic(t, schematest.Manifest, expand(t, file, platform).JSON())
		}
	}
}

// Versions that the tools do not insert are written out, as the schemas require.
func TestTemplates_versions(t *testing.T) {
	for _, file := range templates(t) {
		var d struct {
			Template string `json:"$schema-template"`
		}
		asJSON(t, content(t, file), &d)
		if d.Template != "4.0.0" {
			t.Errorf("%s: $schema-template is %q: the tools would expand no platforms", file, d.Template)
		}
		if isLayered(file) {
			continue
		}
		full := load(t, content(t, file))
		for module, want := range map[string]string{"$edgeAgent": "1.1", "$edgeHub": "1.2"} {
			var desired struct{ SchemaVersion string }
			asJSON(t, full.ModulesContent[module]["properties.desired"], &desired)
			if desired.SchemaVersion != want {
				t.Errorf("%s: schemaVersion of %s is %q, want %s", file, module, desired.SchemaVersion, want)
			}
		}
	}
}

func TestTemplates_modules(t *testing.T) {
	for _, file := range templates(t) {
		for name, m := range load(t, content(t, file)).modules(t) {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) { checkDefinition(t, name, m) })
		}
	}
}

// checkDefinition checks the rules for every definition of a module.
func checkDefinition(t *testing.T, name string, m definition) {
	t.Helper()
	host, _ := m.CreateOptions["HostConfig"].(map[string]any)
	if d := cmp.Diff(map[string]any{"Type": "json-file", "Config": map[string]any{"max-size": "10m", "max-file": "3"}}, host["LogConfig"]); d != "" {
		t.Errorf("the log is not rotated: %s", d)
	}
	if name != "edgeAgent" && (m.RestartPolicy != "always" || m.Status != "running" || m.StartupOrder == nil) {
		t.Errorf("restartPolicy %s, status %s, startupOrder %v", m.RestartPolicy, m.Status, m.StartupOrder)
	}
	switch name {
	case "edgeAgent":
	case "edgeHub":
		ports := map[string]any{}
		for _, port := range []string{"5671", "8883", "443"} {
			ports[port+"/tcp"] = []any{map[string]any{"HostPort": port}}
		}
		if d := cmp.Diff(ports, host["PortBindings"]); d != "" {
			t.Errorf("a module on the host network needs the ports of edge hub: %s", d)
		}
	case ourModule:
		if want := version(t); m.Version != want {
			t.Errorf("version %s, and VERSION has %s", m.Version, want)
		}
		checkHardened(t, host)
		checkEnvironment(t, m.Env)
	default:
		t.Errorf("the module %s is unknown", name)
	}
}

func checkHardened(t *testing.T, host map[string]any) {
	t.Helper()
	for option, want := range map[string]any{
		"ReadonlyRootfs": true, "CapDrop": []any{"ALL"}, "SecurityOpt": []any{"no-new-privileges:true"},
		"Tmpfs": map[string]any{"/tmp": "size=16m,uid=65532,gid=65532,mode=0700"},
	} {
		if d := cmp.Diff(want, host[option]); d != "" {
			t.Errorf("%s: %s", option, d)
		}
	}
	for _, option := range []string{"Privileged", "CapAdd", "Devices", "PidMode"} {
		if host[option] != nil {
			t.Errorf("%s is set", option)
		}
	}
}

// checkEnvironment reads the variables as the module does inside IoT Edge. Each has a name
// that the module knows and a value that it can use.
func checkEnvironment(t *testing.T, env map[string]value) {
	t.Helper()
	set := map[string]string{
		"IOTEDGE_WORKLOADURI": "unix:///var/run/iotedge/workload.sock", "IOTEDGE_AUTHSCHEME": "sasToken",
		"IOTEDGE_MODULEGENERATIONID": "1", "IOTEDGE_IOTHUBHOSTNAME": "hub.example", "IOTEDGE_GATEWAYHOSTNAME": "edge1",
		"IOTEDGE_DEVICEID": "edge1", "IOTEDGE_MODULEID": ourModule,
	}
	for name, v := range env {
		set[name] = v.Value
		if !slices.ContainsFunc(config.Variables, func(v config.Variable) bool { return v.Name == name }) {
			t.Errorf("the module reads no variable %s", name)
		}
	}
	for _, want := range []string{"RuntimeLogLevel", "https_proxy", "no_proxy"} {
		if _, there := env[want]; !there {
			t.Errorf("%s is missing, which operators look for here", want)
		}
	}
	setEnvironment(t, set)
	m, err := config.Read()
	if err != nil || len(m.Faults)+len(m.Ignored) > 0 {
		t.Errorf("%v, faults %v, ignored %v", err, m.Faults, m.Ignored)
	}
}

// setEnvironment sets these variables, and unsets all others that the module reads.
func setEnvironment(t *testing.T, env map[string]string) {
	t.Helper()
	for _, v := range config.Variables {
		for _, name := range []string{v.Name, strings.ToUpper(v.Name)} {
			if _, set := os.LookupEnv(name); set {
				t.Setenv(name, "")
			}
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
}

// The module is on the host network, by both settings that edge agent and Docker require.
func TestTemplates_hostNetwork(t *testing.T) {
	for _, file := range templates(t) {
		checkHostNetwork(t, load(t, content(t, file)).module(t).CreateOptions)
	}
}

func checkHostNetwork(t *testing.T, options map[string]any) {
	t.Helper()
	host, _ := options["HostConfig"].(map[string]any)
	if host["NetworkMode"] != "host" {
		t.Errorf("NetworkMode is %v", host["NetworkMode"])
	}
	want := map[string]any{"EndpointsConfig": map[string]any{"host": map[string]any{}}}
	if d := cmp.Diff(want, options["NetworkingConfig"]); d != "" {
		t.Errorf("NetworkingConfig: %s", d)
	}
}

// The twins are valid and name a remote endpoint, so that a fleet does not start with
// tunnels to any host.
func TestTemplates_twins(t *testing.T) {
	for _, file := range templates(t) {
		inForce, _ := checkTwin(t, load(t, content(t, file)).twin(t))
		if len(inForce.Cameras) < 2 || inForce.Remotes.Any || len(inForce.Remotes.Patterns) == 0 {
			t.Errorf("%s: %+v", file, inForce)
		}
	}
}

// The debug template is the full template with the log level debug.
func TestTemplates_debug(t *testing.T) {
	const level = `"RuntimeLogLevel": { "value": `
	debug := read(t, "deployment.debug.template.json")
	full := read(t, "deployment.template.json")
	if d := cmp.Diff(strings.ReplaceAll(full, level+`"info"`, level+`"debug"`), debug); d != "" {
		t.Errorf("the full template with debug logs (-) and the debug template (+):\n%s", d)
	}
}

// The layered template is the full template without the runtime.
func TestTemplates_layered(t *testing.T) {
	full, layered := fullTemplate(t), load(t, content(t, "deployment.layered.template.json"))
	if d := cmp.Diff(full.module(t), layered.module(t)); d != "" {
		t.Errorf("the module of the full template (-) and of the layered one (+):\n%s", d)
	}
	for _, name := range []string{"$edgeHub", ourModule} {
		var whole map[string]json.RawMessage
		asJSON(t, full.ModulesContent[name]["properties.desired"], &whole)
		if name == "$edgeHub" {
			var routes map[string]json.RawMessage
			asJSON(t, whole["routes"], &routes)
			whole = map[string]json.RawMessage{}
			for route, text := range routes {
				whole["routes."+route] = text
			}
		}
		parts := map[string]json.RawMessage{}
		for path, part := range layered.ModulesContent[name] {
			parts[strings.TrimPrefix(path, "properties.desired.")] = part
		}
		var want, got any
		asJSON(t, mustJSON(t, whole), &want)
		asJSON(t, mustJSON(t, parts), &got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s of the full template (-) and of the layered one (+):\n%s", name, d)
		}
	}
}

// .env.template has each variable that templates and module.json use, and has no values
// but defaults.
func TestTemplates_env(t *testing.T) {
	used := map[string]bool{"DEFAULT_PLATFORM": true} // the tools' own
	for _, file := range append(templates(t), moduleFolder+"/module.json") {
		for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllSubmatch(content(t, file), -1) {
			used[string(m[1])] = true
		}
	}
	defaults := map[string]string{"EDGE_RUNTIME_VERSION": "1.6", "DEFAULT_PLATFORM": "amd64"}
	want, got := map[string]string{}, map[string]string{}
	for name := range used {
		want[name] = defaults[name]
	}
	for line := range strings.Lines(read(t, ".env.template")) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(line, "#") {
			got[name] = value
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("used (-) and in .env.template (+):\n%s", d)
	}
	ignored := read(t, ".gitignore")
	for _, name := range []string{"\n.env\n", "/config/\n", "/.work/\n"} {
		if !strings.Contains(ignored, name) {
			t.Errorf("git does not ignore %s", strings.TrimSpace(name))
		}
	}
	if _, err := os.Stat(top + "/.env.tmp"); err == nil {
		t.Error("there are two templates of .env")
	}
}

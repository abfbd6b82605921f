package manifest_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

const solution = "testdata/solution/"

// variables returns an environment with these values.
func variables(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// expand expands a template that must be valid.
func expand(t *testing.T, s manifest.Source) *manifest.Manifest {
	t.Helper()
	m, problems := manifest.Expand(s)
	if len(problems) > 0 {
		t.Fatalf("%s:\n%v", s.File, problems)
	}
	return m
}

func TestExpand(t *testing.T) {
	for _, name := range []string{"deployment", "deployment.debug", "deployment.layered"} {
		m := expand(t, manifest.Source{File: solution + name + ".template.json", EnvFile: solution + "site.env"})
		want, err := os.ReadFile(solution + "expanded/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(m.JSON())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if problems := manifest.Validate(m, manifest.Options{}); len(problems) > 0 {
			t.Errorf("%s:\n%v", name, problems)
		}
		// Expanding a manifest does not change it.
		again := expand(t, manifest.Source{File: solution + "expanded/" + name + ".json"})
		if diff := cmp.Diff(string(want), string(again.JSON())); diff != "" {
			t.Errorf("%s, expanded again: %s", name, diff)
		}
	}
}

func TestExpand_images(t *testing.T) {
	for _, c := range []struct {
		platform string
		env      map[string]string
		want     map[string]string
	}{
		{"", nil, map[string]string{"filter": "filter:0.2.0-amd64", "rtsptunnel": "rtsptunnel:0.1.0-arm64v8"}},
		{"arm32v7", nil, map[string]string{"filter": "filter:0.2.0-arm32v7", "rtsptunnel": "rtsptunnel:0.1.0-arm64v8"}},
		{"", map[string]string{"DEFAULT_PLATFORM": "arm32v7"}, map[string]string{"filter": "filter:0.2.0-arm32v7"}},
		{"amd64", map[string]string{"DEFAULT_PLATFORM": "arm32v7"}, map[string]string{"filter": "filter:0.2.0-amd64"}},
		{"", map[string]string{"CONTAINER_TAG": "rc1", "DEFAULT_PLATFORM": ""}, map[string]string{"filter": "filter:0.2.0-rc1-amd64"}},
	} {
		m := expand(t, manifest.Source{File: solution + "deployment.template.json", EnvFile: solution + "site.env", Lookup: variables(c.env), Platform: c.platform})
		for name, want := range c.want {
			if got := m.Images()[name]; got != "registry.example/team/"+want {
				t.Errorf("%s %v: image %s, want .../%s", c.platform, c.env, got, want)
			}
		}
	}
}

// The environment takes precedence over the file, as in iotedgedev.
func TestExpand_precedence(t *testing.T) {
	m := expand(t, manifest.Source{
		File: solution + "deployment.template.json", EnvFile: solution + "site.env",
		Lookup: variables(map[string]string{"CONTAINER_REGISTRY_SERVER": "other.example", "EDGE_RUNTIME_VERSION": "1.5"}),
	})
	want := map[string]string{
		"edgeAgent": "mcr.microsoft.com/azureiotedge-agent:1.5", "edgeHub": "mcr.microsoft.com/azureiotedge-hub:1.5",
		"filter": "other.example/filter:0.2.0-amd64", "rtsptunnel": "other.example/rtsptunnel:0.1.0-arm64v8", "probe": "registry.example/probe:0.0.0-amd64",
	}
	if diff := cmp.Diff(want, m.Images()); diff != "" {
		t.Error(diff)
	}
}

// Reserved words are not expanded, even if variables have these names. $NAME stays if it
// is not set, as in a route's condition.
func TestExpand_reservedWords(t *testing.T) {
	m := expand(t, manifest.Source{
		File: solution + "deployment.template.json", EnvFile: solution + "site.env",
		Lookup: variables(map[string]string{"edgeAgent": "x", "edgeHub": "x", "upstream": "x", "schema": "x"}),
	})
	want, err := os.ReadFile(solution + "expanded/deployment.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(m.JSON())); diff != "" {
		t.Error(diff)
	}
}

// folder writes files into a new folder, and returns it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// layer returns a layered template with one module x.
func layer(image, options, twin string) string {
	return `{"$schema-template": "4.0.0", "content": {"modulesContent": {
"$edgeAgent": {"properties.desired.modules.x": {"type": "docker", "status": "running", "restartPolicy": "always",
"settings": {"image": ` + image + `, "createOptions": ` + options + `}}},
"x": {"properties.desired": ` + twin + `}}}}`
}

func TestExpand_createOptions(t *testing.T) {
	// padded returns an object that is n characters long as compact text.
	padded := func(n int) string {
		return `{"Labels": {"a": "` + strings.Repeat("x", n-len(`{"Labels":{"a":""}}`)) + `"}}`
	}
	for options, want := range map[string][]int{
		padded(512):  {512},
		padded(513):  {512, 1},
		padded(4096): {512, 512, 512, 512, 512, 512, 512, 512},
		`{}`:         {2},
		`""`:         {0},
		`"{ }"`:      {3},
		`"` + strings.ReplaceAll(padded(600), `"`, `\"`) + `"`: {512, 88 + 2}, // text keeps its two spaces
	} {
		dir := folder(t, map[string]string{"l.template.json": layer(`"example/x:1"`, options, `{}`)})
		m := expand(t, manifest.Source{File: filepath.Join(dir, "l.template.json")})
		var doc struct {
			Content struct {
				ModulesContent map[string]map[string]struct{ Settings map[string]string }
			}
		}
		if err := json.Unmarshal(m.JSON(), &doc); err != nil {
			t.Fatal(err)
		}
		settings := doc.Content.ModulesContent["$edgeAgent"]["properties.desired.modules.x"].Settings
		var got []int
		joined := ""
		for _, name := range []string{"createOptions", "createOptions01", "createOptions02", "createOptions03", "createOptions04", "createOptions05", "createOptions06", "createOptions07", "createOptions08"} {
			if piece, ok := settings[name]; ok {
				got = append(got, len(piece))
				joined += piece
			}
		}
		if !cmp.Equal(got, want) || len(settings) != len(want)+1 {
			t.Errorf("%.30s: pieces of %v characters, want %v: %v", options, got, want, maps.Keys(settings))
		}
		if joined != "" && !json.Valid([]byte(joined)) {
			t.Errorf("%.30s: the joined pieces are not valid JSON: %s", options, joined)
		}
	}
}

// In a layer, settings may be under names with dots.
func TestExpand_dottedSettings(t *testing.T) {
	dir := folder(t, map[string]string{
		"l.template.json": `{"content": {"modulesContent": {"$edgeAgent": {
			"properties.desired.modules.x.settings.image": "${MODULES.my.mod.amd64}",
			"properties.desired.modules.x.settings.createOptions": {"Labels": {"a": "` + strings.Repeat("x", 600) + `"}},
			"properties.desired.modules.y.settings": {"image": "${MODULEDIR<..\\x>}"}}}}}`,
		"modules/my.mod/module.json": `{"image": {"repository": "example/x", "tag": {"version": "1", "platforms": {"amd64": "d"}}}}`,
	})
	outside := filepath.Join(filepath.Dir(dir), "x")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "module.json"), []byte(`{"image": {"repository": "example/Y", "tag": {"version": "2", "platforms": {"amd64": "d"}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	m := expand(t, manifest.Source{File: filepath.Join(dir, "l.template.json")})
	if diff := cmp.Diff(map[string]string{"x": "example/x:1-amd64", "y": "example/y:2-amd64"}, m.Images()); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(m.JSON()), `"properties.desired.modules.x.settings.createOptions01": "x`) {
		t.Errorf("no second piece:\n%s", m.JSON())
	}
}

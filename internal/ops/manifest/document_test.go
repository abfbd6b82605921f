package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

// parse reads a manifest that must be valid.
func parse(t *testing.T, file, doc string) *manifest.Manifest {
	t.Helper()
	m, problems := manifest.Parse(file, []byte(doc))
	if len(problems) > 0 {
		t.Fatalf("%s:\n%v", doc, problems)
	}
	return m
}

// lines returns the problems as path: text, sorted.
func lines(problems manifest.Problems) []string {
	got := []string{}
	for _, p := range problems {
		got = append(got, p.Path+": "+p.Text)
	}
	slices.Sort(got)
	return got
}

// azExport is a shortened output of az iot edge deployment show.
const azExport = `{
  "content": {"deviceContent": null, "moduleContent": null, "modulesContent": {"$edgeAgent": {}, "x": {"properties.desired.a": {"b": 1}}}},
  "createdTimeUtc": "0001-01-01T00:00:00+00:00", "etag": "Mg==", "id": "site-7", "labels": null, "lastUpdatedTimeUtc": "0001-01-01T00:00:00+00:00",
  "metrics": {"queries": {}, "results": {}}, "priority": 20, "schemaVersion": "1.0", "systemMetrics": {"queries": {}, "results": {}},
  "targetCondition": "tags.site='7'"
}`

func TestManifest(t *testing.T) {
	m := parse(t, "azExport.json", azExport)
	h := m.Header()
	if h.ID != "site-7" || h.Priority == nil || *h.Priority != 20 || h.TargetCondition != "tags.site='7'" {
		t.Errorf("header %+v", h)
	}
	if got, want := string(m.Content()), `{"modulesContent":{"$edgeAgent":{},"x":{"properties.desired.a":{"b":1}}}}`; got != want {
		t.Errorf("content %s, want %s", got, want)
	}
	if got, want := string(m.Twin("x")), `{"properties.desired.a":{"b":1}}`; got != want || m.Twin("y") != nil {
		t.Errorf("twin %s, want %s; of a missing module %s", got, want, m.Twin("y"))
	}
	if got, want := string(m.Desired("x")), "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"; got != want || m.Desired("y") != nil {
		t.Errorf("desired properties %s, want %s; of a missing module %s", got, want, m.Desired("y"))
	}
	if !m.Layered() || m.File() != "azExport.json" {
		t.Errorf("layered %v, file %s", m.Layered(), m.File())
	}
	if problems := manifest.Validate(m, manifest.Options{}); len(problems) > 0 {
		t.Error(problems)
	}
	if h := parse(t, "", `{"priority": "7", "modulesContent": {}}`).Header(); h.Priority != nil || h.ID != "" {
		t.Errorf("header %+v", h)
	}
}

func TestValidate_documents(t *testing.T) {
	for doc, want := range map[string][]string{
		`{"modulesContent": {"edgeAgent": {}}}`:                 {"modulesContent/$edgeAgent: is missing"},
		`{"modulesContent": {"$edgeAgent": []}}`:                {"modulesContent/$edgeAgent: must be an object"},
		`{"modulesContent": {"$edgeAgent": {}, "$edgeHub": 7}}`: {"modulesContent/$edgeHub: must be an object"},
		`{"modulesContent": {"$edgeAgent": {"properties.desired": 1}}}`: {
			"modulesContent/$edgeAgent/properties.desired: has neither runtime nor systemModules, which a full deployment needs, and is not allowed in a layer",
			"modulesContent/$edgeHub: is missing",
		},
		`{"modulesContent": {"$edgeAgent": {}}, "x": 1}`:                                          {"x: is not known here"},
		`{"content": {"modulesContent": {"$edgeAgent": {}}, "deviceContent": {}}, "Priority": 1}`: {"Priority: is not known here", "content/deviceContent: is not for modules"},
		`{"modulesContent": {"$edgeAgent": {"properties.desired.modules.x": {"type": "docker", "status": "running", "restartPolicy": "always",
			"settings": {"image": "${MODULES.x}", "createOptions": {}}}}}}`: {
			"modulesContent/$edgeAgent/properties.desired.modules.x/settings/createOptions: must be a string in a manifest",
			"modulesContent/$edgeAgent/properties.desired.modules.x/settings/image: has a placeholder, which is not expanded in a manifest",
		},
		`{"modulesContent": {"$edgeAgent": {"properties.desired.modules.x.settings.createOptions": "[]", "properties.desired.modules.x.settings.createOptions02": "x"}}}`: {
			"modulesContent/$edgeAgent/properties.desired.modules.x.settings.createOptions02: has no piece before it: edge agent rejects the whole configuration",
			"modulesContent/$edgeAgent/properties.desired.modules.x.settings.createOptions02: is a part of a module, but the documentation has only whole modules in layers",
			"modulesContent/$edgeAgent/properties.desired.modules.x.settings.createOptions: is a part of a module, but the documentation has only whole modules in layers",
		},
		`{"modulesContent": {"$edgeAgent": {"properties.desired.runtime.settings.registryCredentials.r": {"username": "u", "password": "p", "address": "a"}}}}`: {},
		`{"modulesContent": {"$edgeAgent": {"properties.desired.modules.a b": {}}}}`: {
			"modulesContent/$edgeAgent/properties.desired.modules.a b: has a name that IoT Hub does not accept in a twin",
			"modulesContent/$edgeAgent/properties.desired.modules.a b: has a name that is not allowed",
		},
		`{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired": {"a\u001b[31m": 1, "$version": 7, "$metadata": {}, "list": [{"b.c": null}]}}}}`: {
			"modulesContent/x/properties.desired/a?[31m: has a name that IoT Hub does not accept in a twin",
			"modulesContent/x/properties.desired/list/0/b.c: has a name that IoT Hub does not accept in a twin",
		},
		`{"modulesContent": {"$edgeAgent": {}, "$edgeHub": {"properties.desired.routes.r": "FROM /messages/modules/elsewhere/* INTO BrokeredEndpoint('/modules/there/inputs/in')"}}}`: {},
		`{"modulesContent": {"$edgeAgent": {"properties.desired.schemaVersion": "1.1"}}}`: {
			"modulesContent/$edgeAgent/properties.desired.schemaVersion: is not documented for layers",
		},
		`{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.log": 1, "properties.desired.log.level": "info"}}}`: {
			"modulesContent/rtsptunnel/properties.desired.log.level: is inside of properties.desired.log, which this section also has",
			"modulesContent/rtsptunnel: is not a twin of rtsptunnel: properties.desired.log.level is not an object, or is inside a value that is not an object",
		},
		`{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired": {"a": [` + strings.Repeat(`"`+strings.Repeat("x", 4000)+`",`, 9) + `1000]}}}}`: {
			"modulesContent/x/properties.desired: is 36039 bytes of JSON; IoT Hub accepts about 32768 for all desired properties together",
		},
		`{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired": {"cameras": 7}}}}`: {"modulesContent/rtsptunnel/properties.desired/cameras: must be an object"},
		`{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.tunnels.max": 0, "properties.desired.cameras.a.port": 1}}}`: {
			"modulesContent/rtsptunnel/properties.desired.tunnels.max: must be an integer from 1 to 10000",
			"modulesContent/rtsptunnel/properties.desired/cameras/a/host: is missing in this layer; another layer or the base must set it",
		},
	} {
		got := lines(manifest.Validate(parse(t, "x", doc), manifest.Options{}))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.300s:\n%.1000s", doc, diff)
		}
	}
}

// Manifests from other tools may have createOptions in pieces of any size.
func TestValidate_pieces(t *testing.T) {
	// padded is an object that is n bytes long, as a JSON string.
	padded := func(n int, text string) string {
		return `"{\"Labels\":{\"a\":\"` + text + strings.Repeat("x", n-len(`{"Labels":{"a":""}}`)-len(text)) + `\"}}"`
	}
	for options, want := range map[string][]string{
		padded(512, ""):  {},
		padded(513, ""):  {"createOptions: is longer than 512 characters, the limit of Microsoft's tools"},
		padded(4096, ""): {"createOptions: is longer than 512 characters, the limit of Microsoft's tools"},
		padded(4097, ""): {"createOptions: is a string of more than 4096 bytes, which IoT Hub does not accept", "createOptions: is longer than 512 characters, the limit of Microsoft's tools"},
		padded(99, "é"):  {},
		padded(513, "é"): {}, // 512 characters
		`" "`:            {},
		`"Null"`:         {},
	} {
		doc := `{"modulesContent": {"$edgeAgent": {"properties.desired.modules.x": {"type": "docker", "status": "running", "restartPolicy": "always",
			"settings": {"image": "example/x:1", "createOptions": ` + options + `}}}}}`
		got := lines(manifest.Validate(parse(t, "x", doc), manifest.Options{}))
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "modulesContent/$edgeAgent/properties.desired.modules.x/settings/")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.30s: %s", options, diff)
		}
	}
}

// Validate finds rtsptunnel modules by their image, by their name if there is no image,
// or by the option.
func TestValidate_tunnels(t *testing.T) {
	const bad = `{"cameras": {"a": {"host": "192.0.2.1"}, "b": {"host": "192.0.2.2"}}}`
	for _, c := range []struct {
		image, module string
		named         []string
		want          int
	}{
		{"", "rtsptunnel", nil, 1},
		{"", "other", nil, 0},
		{"", "other", []string{"other"}, 1},
		{"registry.example:5000/a/rtsptunnel@sha256:" + strings.Repeat("a", 64), "other", nil, 1},
		{"rtsptunnel", "other", nil, 2}, // no tag
		{"registry.example/filter:1", "rtsptunnel", nil, 0},
		{"registry.example/filter:1", "rtsptunnel", []string{"rtsptunnel"}, 1},
		{"", "other", []string{"Other"}, 1},
	} {
		doc := `{"modulesContent": {"$edgeAgent": {}, "` + c.module + `": {"properties.desired": ` + bad + `}}}`
		if c.image != "" {
			doc = strings.Replace(doc, `"$edgeAgent": {}`, `"$edgeAgent": {"properties.desired.modules.`+c.module+`": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "`+c.image+`"}}}`, 1)
		}
		if got := manifest.Validate(parse(t, "x", doc), manifest.Options{Tunnels: c.named}); len(got) != c.want {
			t.Errorf("%+v: want %d problems, got %v", c, c.want, got)
		}
	}
}

func TestParse_wrong(t *testing.T) {
	for doc, want := range map[string]string{
		`{"modulesContent": []}`:               "modulesContent: must be an object",
		`{"content": {"modulesContent": "x"}}`: "content/modulesContent: must be an object",
		`[]`:                                   ": is not a deployment",
		`{"content": []}`:                      ": is not a deployment",
	} {
		m, problems := manifest.Parse("x", []byte(doc))
		if m != nil || len(problems) != 1 || !strings.HasPrefix(lines(problems)[0], want) {
			t.Errorf("%s: got %v, %v, want %s", doc, m, problems, want)
		}
	}
	dir := folder(t, map[string]string{"large.json": `{"modulesContent": {}}` + strings.Repeat(" ", 1<<20)})
	m, problems := manifest.Load(manifest.Source{File: filepath.Join(dir, "large.json")})
	if m != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, "larger than 1 MB") {
		t.Errorf("a large file: %v, %v", m, problems)
	}
}

// Small inputs that expand to large ones consume little time and memory.
func TestLoad_bounded(t *testing.T) {
	var doubling strings.Builder
	doubling.WriteString("A0=xxxxxxxx\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&doubling, "A%d=${A%d}${A%d}\n", i, i-1, i-1)
	}
	many := func(format string) string {
		list := make([]string, 2001)
		for i := range list {
			list[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(list, ",")
	}
	for name, c := range map[string]struct{ doc, env, want string }{
		"values of values": {`{"modulesContent": {"x": "$A39"}}`, doubling.String(), "site.env:18: has values that expand to more than 1 MB"},
		"many values":      {`{"modulesContent": {"x": "$B"}}`, "A=" + strings.Repeat("x", 1000) + "\n" + strings.Repeat("B=${A}\n", 2000), "more than 1 MB"},
		"one value often":  {`{"modulesContent": {"x": "` + strings.Repeat("$A", 2000) + `"}}`, "A=" + strings.Repeat("x", 1000), "a.template.json: is larger than 1 MB after its variables are expanded"},
		"modules":          {`{"modulesContent": {` + many(`"x%d":{}`) + `}}`, "", "modulesContent: has more than 2000 members"},
		"parts":            {`{"modulesContent": {"x": {` + many(`"properties.desired.a%d": 1`) + `}}}`, "", "modulesContent/x: has more than 2000 members"},
	} {
		dir := folder(t, map[string]string{"a.template.json": c.doc, "site.env": c.env})
		m, problems := manifest.Load(manifest.Source{File: filepath.Join(dir, "a.template.json"), EnvFile: filepath.Join(dir, "site.env")})
		if m != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), c.want) {
			t.Errorf("%s: got %v, %.300v, want %s", name, m != nil, problems, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.template.json": `{"modulesContent": {"x": "$NAME"}}`,
		"b.json":          `{"$schema-template": "4.0.0", "modulesContent": {"x": "$NAME", "n": ${NUMBER}}}`,
		"c.json":          `{"modulesContent": {"x": "$NAME"}}`,
		"d.json":          `{"modulesContent": {"x": 1, "x": 2}}`,
	})
	for name, want := range map[string]string{
		"a.template.json": `{"modulesContent":{"x":"value"}}`,
		"b.json":          `{"modulesContent":{"x":"value","n":7}}`,
		"c.json":          `{"modulesContent":{"x":"$NAME"}}`,
		"d.json":          "",
	} {
		m, problems := manifest.Load(manifest.Source{File: filepath.Join(dir, name), Lookup: variables(map[string]string{"NAME": "value", "NUMBER": "7"})})
		switch {
		case want == "" && (m != nil || problems.Err() == nil):
			t.Errorf("%s: %v, %v", name, m, problems)
		case want != "" && (len(problems) > 0 || string(m.Content()) != want):
			t.Errorf("%s: %v, %v", name, m, problems)
		}
	}
}

func TestFindEnv(t *testing.T) {
	here, there := folder(t, map[string]string{}), folder(t, map[string]string{"t.json": "{}"})
	template := filepath.Join(there, "t.json")
	t.Chdir(here)
	check := func(want string, env map[string]string) {
		t.Helper()
		if got := manifest.FindEnv(template, variables(env)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("", nil)
	write := func(name string) {
		t.Helper()
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(there, ".env"))
	check(filepath.Join(there, ".env"), nil)
	write(".env")
	check(".env", nil)
	check("other.env", map[string]string{"DOTENV_FILE": `"other.env"`})
	check(".env", map[string]string{"DOTENV_FILE": ""})
}

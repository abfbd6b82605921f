package manifest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

// fullDeployment returns a base in which module x has these desired properties.
func fullDeployment(t *testing.T, desired string) manifest.Deployment {
	t.Helper()
	doc := `{"modulesContent": {"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "runtime": {}, "systemModules": {},
		"modules": {"x": {"version": "1", "status": "running", "settings": {"image": "example/x:1"}}}}},
		"$edgeHub": {"properties.desired": {"schemaVersion": "1.2", "routes": {"up": "FROM /* INTO $upstream"}}},
		"x": {"properties.desired": ` + desired + `}}}`
	return manifest.Deployment{Manifest: parse(t, "base.json", doc)}
}

// layerOf returns a layer with these sections.
func layerOf(t *testing.T, name, sections string) manifest.Deployment {
	t.Helper()
	return manifest.Deployment{Manifest: parse(t, name, `{"content": {"modulesContent": {`+sections+`}}}`)}
}

func withPriority(d manifest.Deployment, priority int) manifest.Deployment {
	d.Priority = &priority
	return d
}

// The first three cases are from "Understand IoT Edge automatic deployments", layered
// deployment, and "Deploy and monitor IoT Edge modules at scale by using the Azure CLI".
// The others follow from how twins are patched.
func TestMerge_twins(t *testing.T) {
	for _, c := range []struct {
		name, base string
		layers     []string // desired properties of x, by names with dots
		want       string
	}{
		{"a section beside", `{"SendData": true, "SendInterval": 5}`, []string{`"properties.desired.layeredProperties": {"StopAfterCount": 1000}`}, `{"SendData":true,"SendInterval":5,"layeredProperties":{"StopAfterCount":1000}}`},
		{"the whole", `{"SendData": true}`, []string{`"properties.desired": {"SendInterval": 5}`}, `{"SendInterval":5}`},
		{"leaves", `{}`, []string{`"properties.desired.l.SendData": true, "properties.desired.l.SendInterval": 5`}, `{"l":{"SendData":true,"SendInterval":5}}`},
		{"a value in its place", `{"a": 1, "b": 2}`, []string{`"properties.desired.a": 3`}, `{"a":3,"b":2}`},
		{"a section in its place", `{"a": {"b": 1, "c": 2}}`, []string{`"properties.desired.a": {"d": 3}`}, `{"a":{"d":3}}`},
		{"a leaf in a section", `{"a": {"b": 1, "c": 2}}`, []string{`"properties.desired.a.c": 3`}, `{"a":{"b":1,"c":3}}`},
		{"an array as a whole", `{"a": [1, 2]}`, []string{`"properties.desired.a": [3, null]`}, `{"a":[3,null]}`},
		{"another kind", `{"a": {"b": 1}}`, []string{`"properties.desired.a": 3`}, `{"a":3}`},
		{"null deletes", `{"a": {"b": 1, "c": 2}}`, []string{`"properties.desired.a.c": null, "properties.desired.x.y": null`}, `{"a":{"b":1}}`},
		{"null in a section", `{"a": 1}`, []string{`"properties.desired.b": {"c": null, "d": 1}`}, `{"a":1,"b":{"d":1}}`},
		{"null for all", `{"a": 1}`, []string{`"properties.desired": null`}, `{}`},
		{"the highest last", `{"a": 1}`, []string{`"properties.desired.a": 2`, `"properties.desired.a": 3`}, `{"a":3}`},
		{"a part over a whole", `{"a": 1}`, []string{`"properties.desired": {"b": 1}`, `"properties.desired.c": 3`}, `{"b":1,"c":3}`},
		{"a whole over a part", `{"a": 1}`, []string{`"properties.desired.c": 3`, `"properties.desired": {"b": 1}`}, `{"b":1}`},
		{"the whole before its parts", `{"a": 1}`, []string{`"properties.desired.c.d": 4, "properties.desired.c": {"e": 5}, "properties.desired": {"b": 1}`}, `{"b":1,"c":{"e":5,"d":4}}`},
		{"numbers as written", `{"a": 1.50}`, []string{`"properties.desired.b": 1e3`}, `{"a":1.50,"b":1e3}`},
	} {
		var layers []manifest.Deployment
		for i, parts := range c.layers {
			layers = append(layers, layerOf(t, fmt.Sprintf("layer%d.json", i), `"$edgeAgent": {}, "x": {`+parts+`}`))
		}
		merged, problems := manifest.Merge(fullDeployment(t, c.base), layers...)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		got := strings.Join(strings.Fields(string(merged.Manifest.Desired("x"))), "")
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMerge_modulesAndRoutes(t *testing.T) {
	layer := layerOf(t, "site.json", `"$edgeAgent": {
		"properties.desired.modules.x": {"version": "2", "settings": {"image": "example/x:2"}},
		"properties.desired.modules.y": {"settings": {"image": "example/y:1"}}},
		"$edgeHub": {"properties.desired.routes.up": "FROM /messages/* INTO $upstream", "properties.desired.routes.y": "FROM /messages/modules/y/* INTO $upstream"},
		"y": {"properties.desired": {"a": 1}}`)
	merged, problems := manifest.Merge(fullDeployment(t, `{"b": 1}`), withPriority(layer, 10))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := `{"modulesContent":{"$edgeAgent":{"properties.desired":{"schemaVersion":"1.1","runtime":{},"systemModules":{},` +
		`"modules":{"x":{"version":"2","settings":{"image":"example/x:2"}},"y":{"settings":{"image":"example/y:1"}}}}},` +
		`"$edgeHub":{"properties.desired":{"schemaVersion":"1.2","routes":{"up":"FROM /messages/* INTO $upstream","y":"FROM /messages/modules/y/* INTO $upstream"}}},` +
		`"x":{"properties.desired":{"b":1}},"y":{"properties.desired":{"a":1}}}}`
	if got := string(merged.Manifest.Content()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	site := "site.json (priority 10)"
	modules := []manifest.Module{
		{Name: "x", Image: "example/x:2", Version: "2", From: site, Over: []string{"base.json"}},
		{Name: "y", Image: "example/y:1", From: site},
	}
	if diff := cmp.Diff(modules, merged.Modules()); diff != "" {
		t.Error(diff)
	}
}

// Explain answers an operator's question: why does this camera have this value?
func TestMerged_Explain(t *testing.T) {
	site := layerOf(t, "site.json", `"$edgeAgent": {}, "x": {"properties.desired.cameras.a.port": 555, "properties.desired.cameras.b": {"host": "h"}}`)
	off := layerOf(t, "off.json", `"$edgeAgent": {}, "x": {"properties.desired.cameras.a.port": 556, "properties.desired.tunnels.enabled": false}`)
	merged, problems := manifest.Merge(withPriority(fullDeployment(t, `{"cameras": {"a": {"host": "h", "port": 554}}, "tunnels": {}}`), 1), withPriority(off, 90), withPriority(site, 20))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, l := range merged.Explain("x") {
		got = append(got, fmt.Sprintf("%s/%s %s %s %v", l.Module, l.Path, l.Value, l.From, l.Over))
	}
	want := []string{
		`x/cameras/a/host "h" base.json (priority 1) []`,
		`x/cameras/a/port 556 off.json (priority 90) [site.json (priority 20) base.json (priority 1)]`,
		`x/cameras/b/host "h" site.json (priority 20) []`,
		`x/tunnels/enabled false off.json (priority 90) []`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if all := merged.Explain(""); len(all) != len(got)+8 { // two schemaVersions, runtime, systemModules, a route, and three of module x
		t.Errorf("%d values in all: %v", len(all), all)
	}
	if none := merged.Explain("missing"); none == nil || len(none) > 0 {
		t.Errorf("of a missing module: %v", none)
	}
}

func TestMerge_wrong(t *testing.T) {
	empty := `"$edgeAgent": {}`
	a, b := layerOf(t, "a.json", empty), layerOf(t, "b.json", empty)
	base := fullDeployment(t, `{"a": {"b": 5}}`)
	for _, c := range []struct {
		name   string
		base   manifest.Deployment
		layers []manifest.Deployment
		file   string
		words  []string
	}{
		{"equal priorities", base, []manifest.Deployment{withPriority(a, 7), withPriority(b, 7)}, "b.json", []string{"has priority 7, as a.json has", "give them different"}},
		{"equal to the base's", withPriority(base, 7), []manifest.Deployment{withPriority(a, 7)}, "a.json", []string{"has priority 7, as base.json has"}},
		{"below the base's", withPriority(base, 7), []manifest.Deployment{withPriority(a, 6)}, "a.json", []string{"has priority 6, below the base base.json with 7", "higher"}},
		{"one without a priority", base, []manifest.Deployment{withPriority(a, 6), b}, "b.json", []string{"has no priority", "FILE@10"}},
		{"a layer as base", a, []manifest.Deployment{b}, "a.json", []string{"content/modulesContent/$edgeAgent/properties.desired", "must be a full deployment", "pass the device's"}},
		{"a full one as layer", base, []manifest.Deployment{{Manifest: parse(t, "c.json", `{"modulesContent": {"$edgeAgent": {"properties.desired": {}}}}`)}}, "c.json", []string{"is not allowed in a layer", "names with dots"}},
		{"below a value", base, []manifest.Deployment{withPriority(layerOf(t, "a.json", empty+`, "x": {"properties.desired.a.b.c": 1}`), 6)}, "a.json", []string{"x/properties.desired.a.b.c", "cannot be put into a/b, which is not an object in base.json", "the whole a/b"}},
		{"below another layer's value", base, []manifest.Deployment{
			withPriority(layerOf(t, "a.json", empty+`, "x": {"properties.desired.a": 1}`), 6), withPriority(layerOf(t, "b.json", empty+`, "x": {"properties.desired.a.b": null}`), 7),
		}, "b.json", []string{"cannot be put into a, which is not an object in a.json (priority 6)"}},
	} {
		merged, problems := manifest.Merge(c.base, c.layers...)
		if merged != nil || len(problems) != 1 || problems[0].File != c.file {
			t.Errorf("%s: got %v, want one in %s", c.name, problems, c.file)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(problems[0].String(), word) {
				t.Errorf("%s: no %q in %s", c.name, word, problems[0])
			}
		}
	}
}

// The priority in a file applies, unless the caller sets another one.
func TestMerge_priorityInFile(t *testing.T) {
	low, high := parse(t, "low.json", strings.Replace(azExport, "20", "5", 1)), parse(t, "high.json", strings.Replace(azExport, `"b": 1`, `"b": 2`, 1))
	for want, layers := range map[string][]manifest.Deployment{
		"2": {{Manifest: high}, {Manifest: low}},
		"1": {{Manifest: high}, withPriority(manifest.Deployment{Manifest: low}, 21)},
	} {
		merged, problems := manifest.Merge(fullDeployment(t, `{}`), layers...)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if got := string(merged.Manifest.Desired("x")); !strings.Contains(got, `"b": `+want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Merging a valid base and a valid layer gives a valid manifest. Validating the result
// finds faults that only their combination has.
func TestMerge_resultIsValidated(t *testing.T) {
	read := func(name string) manifest.Deployment {
		return manifest.Deployment{Manifest: expand(t, manifest.Source{File: solution + name, EnvFile: solution + "site.env"})}
	}
	base, layer := read("deployment.template.json"), read(layered)
	merged, problems := manifest.Merge(base, layer)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if problems := manifest.Validate(merged.Manifest, manifest.Options{}); len(problems) > 0 {
		t.Error(problems)
	}
	same := layerOf(t, "same.json", `"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras.back": {"host": "192.0.2.11", "port": 8554}}`)
	if problems := manifest.Validate(same.Manifest, manifest.Options{}); len(problems) > 0 {
		t.Error(problems)
	}
	merged, problems = manifest.Merge(base, same)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	problems = manifest.Validate(merged.Manifest, manifest.Options{})
	// By name, back comes before front, which therefore has the fault.
	if len(problems) != 1 || problems[0].Path != "modulesContent/rtsptunnel/properties.desired/cameras/front/localPort" ||
		!strings.Contains(problems[0].Text, "is already the local port of camera back, at modulesContent/rtsptunnel/properties.desired/cameras/back/localPort") {
		t.Errorf("got %v", problems)
	}
	if _, err := os.Stat(problems[0].File); err == nil || problems[0].Line != 0 {
		t.Errorf("the problem of a merged manifest names a file: %s", problems[0])
	}
}

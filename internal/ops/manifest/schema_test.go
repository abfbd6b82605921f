package manifest_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest"
	"rtsptunnel/internal/testkit/schematest"
)

// Expanded and merged manifests pass the public schemas of Microsoft's tools.
func TestExpand_publicSchemas(t *testing.T) {
	schemas := schematest.Load(t)
	var base manifest.Deployment
	for _, name := range []string{"deployment.debug", "deployment"} {
		m := expand(t, manifest.Source{File: solution + name + ".template.json", EnvFile: solution + "site.env"})
		base = manifest.Deployment{Manifest: m}
		checkPublic(t, schemas, name, m.JSON())
	}
	layer := manifest.Deployment{Manifest: expand(t, manifest.Source{File: solution + layered, EnvFile: solution + "site.env"})}
	merged, problems := manifest.Merge(base, layer)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	checkPublic(t, schemas, "merged", merged.Manifest.JSON())
	// A layer alone passes no public schema: there is none for layers.
	if err := schemas.Check(schematest.Manifest, layer.Manifest.JSON()); err == nil {
		t.Error("the schema accepts a layer: check layers against it")
	}
	template, err := os.ReadFile(solution + "deployment.template.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schemas.Check(schematest.Template, []byte(strings.ReplaceAll(string(template), "${LIMIT}", "7"))); err != nil {
		t.Errorf("the template: %v", err)
	}
}

// checkPublic validates a full manifest against the public schemas of the whole document
// and of its sections.
func checkPublic(t *testing.T, schemas *schematest.Schemas, name string, doc []byte) {
	t.Helper()
	if err := schemas.Check(schematest.Manifest, doc); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	var sections struct {
		ModulesContent map[string]json.RawMessage
	}
	if err := json.Unmarshal(doc, &sections); err != nil {
		t.Fatal(err)
	}
	for section, schema := range map[string]string{"$edgeAgent": schematest.Agent, "$edgeHub": schematest.Hub} {
		part, err := json.Marshal(map[string]json.RawMessage{section: sections.ModulesContent[section]})
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.Check(schema, part); err != nil {
			t.Errorf("%s, %s: %v", name, section, err)
		}
	}
}

// What the public schemas reject is also a problem for Validate.
func TestValidate_asPublicSchemas(t *testing.T) {
	schemas := schematest.Load(t)
	doc, err := os.ReadFile(solution + "expanded/deployment.json")
	if err != nil {
		t.Fatal(err)
	}
	rejected := 0
	for _, change := range []struct{ from, to string }{
		{`"docker"`, `"podman"`},
		{`"running"`, `"runs"`},
		{`"always"`, `"ever"`},
		{`"on-create"`, `"always"`},
		{`"startupOrder": 2`, `"startupOrder": -1`},
		{`"startupOrder": 2`, `"startupOrder": 4294967296`},
		{`"startupOrder": 2`, `"startUpOrder": 2`},
		{`"value": true`, `"value": null`},
		{`"value": true`, `"Value": true`},
		{`"MODE"`, `"MO DE"`},
		{`"createOptions": "{}"`, `"createOptions": {}`},
		{`"createOptions": "{}"`, `"options": "{}"`},
		{`"password"`, `"passwort"`},
		{`"registry.example/Team"`, `"registry example"`},
		{`"site": {`, `"si.te": {`},
		{`"priority": 1`, `"priority": 11`},
		{`"priority": 1`, `"priority": "1"`},
		{`"timeToLiveSecs": 60`, `"timeToLiveSecs": -1`},
		{`"filterToHub"`, `"filter to hub"`},
		{`"route": "`, `"Route": "`},
		{`"timeToLiveSecs": 7200`, `"seconds": 7200`},
		{`"schemaVersion": "1.2"`, `"schemaversion": "1.2"`},
		{`"modules": {`, `"Modules": {`},
		{`"runtime"`, `"run"`},
		{`"$edgeHub"`, `"$edgehub"`},
		{`"rtsptunnel": {` + "\n      \"properties.desired\": {", `"rtsptunnel": {"properties.desired.x": {`},
	} {
		changed := strings.ReplaceAll(string(doc), change.from, change.to)
		if changed == string(doc) {
			t.Errorf("no %s", change.from)
		}
		if err := schemas.Check(schematest.Manifest, []byte(changed)); err == nil {
			t.Logf("the schema accepts %s", change.to)
			continue
		}
		rejected++
		m, problems := manifest.Parse("x", []byte(changed))
		if m != nil {
			problems = append(problems, manifest.Validate(m, manifest.Options{})...)
		}
		if len(problems) == 0 {
			t.Errorf("the public schema rejects %s, but Validate accepts it", change.to)
		}
	}
	if rejected < 20 {
		t.Errorf("the schema rejects only %d", rejected)
	}
}

package manifest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

// full returns a full deployment with module cam. edgeHub and modules are further members.
func full(agentVersion, edgeHub, modules string) string {
	const module = `{"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "example/cam:1"}}`
	return `{"modulesContent": {"$edgeAgent": {"properties.desired": {"schemaVersion": "` + agentVersion + `", "runtime": {"type": "docker", "settings": {}},
		"systemModules": {"edgeAgent": {"type": "docker", "settings": {"image": "example/agent:1"}},
			"edgeHub": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "example/hub:1"}}},
		"modules": {"cam": ` + module + strings.ReplaceAll(modules, "MODULE", module) + `}}},
		"$edgeHub": {"properties.desired": {` + edgeHub + `}}}}`
}

// Edge agent accepts 1.0 with anything after it and at most 1.1.0. Edge hub compares the
// first two numbers.
func TestValidate_versions(t *testing.T) {
	for version, want := range map[string]struct{ agent, hub bool }{
		"1.0": {true, true}, "1.0.5": {true, true}, "1.1": {true, true}, "1.1.0": {true, true}, "01.1": {true, true},
		"1.1.1": {false, true}, "1.1.0.0": {false, true}, "1.1.99": {false, true}, "1.2": {false, true}, "1.3": {false, true},
		"1.4": {}, "1.10": {}, "0.1": {}, "1": {}, "2.0": {}, "2.0.1": {}, "v1.1": {}, "": {}, "1.1.": {}, "1.99999999999": {},
	} {
		const rest = `, "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": -1}`
		agent := manifest.Validate(parse(t, "x", full(version, `"schemaVersion": "1.1"`+rest, "")), manifest.Options{})
		hub := manifest.Validate(parse(t, "x", full("1.1", `"schemaVersion": "`+version+`"`+rest, "")), manifest.Options{})
		if (len(agent) == 0) != want.agent || (len(hub) == 0) != want.hub {
			t.Errorf("%q: got %v, %v", version, agent, hub)
		}
	}
}

// A route for a module that the document lacks is an error only if nothing is above it.
func TestValidate_complete(t *testing.T) {
	for _, route := range []string{
		"FROM /messages/modules/relay/outputs/* INTO $upstream",
		`FROM /* INTO BrokeredEndpoint('/modules/Cam/inputs/i')`,
	} {
		doc := full("1.1", `"schemaVersion": "1.1", "routes": {"up": "`+route+`"}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, "")
		for _, complete := range []bool{false, true} {
			got := manifest.Validate(parse(t, "x", doc), manifest.Options{Complete: complete})
			if len(got) != 1 || got[0].Warning == complete || !strings.Contains(got[0].Text, "which this deployment does not have") {
				t.Errorf("%s, complete %v: %v", route, complete, got)
			}
		}
	}
	doc := full("1.1", `"schemaVersion": "1.1", "routes": {"up": "FROM /messages/modules/CAM/* INTO $upstream"}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, "")
	if got := manifest.Validate(parse(t, "x", doc), manifest.Options{Complete: true}); len(got) > 0 {
		t.Errorf("a source in another letter case: %v", got)
	}
}

func TestValidate_emptyRoutes(t *testing.T) {
	for version, want := range map[string]string{"1.0": ": is empty, and edge hub ignores it", "1.1": ": is not a route: FROM is missing (at byte 3)"} {
		doc := full("1.1", `"schemaVersion": "`+version+`", "routes": {"up": "  "}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, "")
		got := lines(manifest.Validate(parse(t, "x", doc), manifest.Options{}))
		if diff := cmp.Diff([]string{hubPath + "/routes/up" + want}, got); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
}

// What a layer takes from the base with names that have dots is missing in the result.
func TestMerge_requiredMembers(t *testing.T) {
	base := manifest.Deployment{Manifest: parse(t, "base.json", full("1.1", `"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, ""))}
	for part, want := range map[string]string{
		`.storeAndForwardConfiguration": null`:                "/storeAndForwardConfiguration: is missing",
		`.storeAndForwardConfiguration.timeToLiveSecs": null`: "/storeAndForwardConfiguration/timeToLiveSecs: is missing",
		`.schemaVersion": null`:                               "/schemaVersion: is missing",
	} {
		merged, problems := manifest.Merge(base, layerOf(t, "layer.json", `"$edgeAgent": {}, "$edgeHub": {"properties.desired`+part+`}`))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got := lines(manifest.Validate(merged.Manifest, manifest.Options{Complete: true}))
		if diff := cmp.Diff([]string{hubPath + want}, got); diff != "" {
			t.Errorf("%s: %s", part, diff)
		}
	}
}

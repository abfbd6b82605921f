package hubctl_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubclient"
)

func TestDeployment_listShowRemove(t *testing.T) {
	e := start(t)
	if got := e.must(t, "deployment", "list", "--json"); got != "[]\n" {
		t.Errorf("an empty list is %q", got)
	}
	content := `{"modulesContent":{"$edgeAgent":{"properties.desired":{"runtime":{"settings":{"registryCredentials":{"r":{"password":"canary"}}}}}}}}`
	for id, condition := range map[string]string{"base": "*", "unused": ""} {
		if _, err := e.hub.Client.CreateConfiguration(t.Context(), hubclient.Configuration{
			ID: id, Priority: 7, TargetCondition: condition, Content: json.RawMessage(content), Labels: map[string]string{"site": "a"},
			Metrics: hubclient.Metrics{Queries: map[string]string{"all": "SELECT * FROM devices"}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := `DEPLOYMENT   PRIORITY   TARGETED   APPLIED   TARGET CONDITION
base         7          1          1         *
unused       7          0          0         
`
	if d := cmp.Diff(want, e.must(t, "deployment", "list")); d != "" {
		t.Errorf("list (-want +got):\n%s", d)
	}
	want = `deployment                base
priority                  7
condition                 *
created                   TIME
changed                   TIME
label site                a
appliedCount              1
reportedFailedCount       0
reportedSuccessfulCount   0
targetedCount             1
all                       1
`
	times := regexp.MustCompile(`20[0-9-]+T[0-9:.]+Z`)
	if d := cmp.Diff(want, times.ReplaceAllString(e.must(t, "deployment", "show", "base"), "TIME")); d != "" {
		t.Errorf("show (-want +got):\n%s", d)
	}
	var shown, list []map[string]any
	for _, text := range []string{"[" + e.must(t, "deployment", "show", "base", "--json") + "]", e.must(t, "deployment", "list", "--json")} {
		shown = nil
		if err := json.Unmarshal([]byte(text), &shown); err != nil || shown[0]["id"] != "base" || strings.Contains(text, "canary") {
			t.Errorf("%v in %s", err, text)
		}
		list = append(list, shown[0])
	}
	if d := cmp.Diff(list[0], list[1]); d != "" {
		t.Errorf("show and list:\n%s", d)
	}
	if got := e.must(t, "deployment", "rm", "base"); got != "removed base\n" {
		t.Errorf("rm wrote %q", got)
	}
	for _, verb := range []string{"show", "rm"} {
		e.refused(t, 1, []string{"404 ConfigurationNotFound", "deployment list"}, "deployment", verb, "base")
	}
	if got := e.must(t, "deployment", "rm", "unused", "--json"); got != "" {
		t.Errorf("rm --json wrote %q", got)
	}
}

package manifestctl_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type removal struct {
	Hub, Deployment, Action string
	DryRun                  bool
	Targeted                int
	Kept                    []string
}

// A layer is taken back from the devices that have a full deployment below it.
func TestRemove_layer(t *testing.T) {
	e, hub := startFleet(t)
	write(t, "off.json", off)
	had := desired(t, hub, "rtsptunnel")
	e.must(t, append([]string{"apply"}, fleetArgs("off.json", "off", 20, "tags.site != 'c'")...)...)
	if cmp.Equal(had, desired(t, hub, "rtsptunnel")) {
		t.Fatal("the layer is not in force")
	}
	args := []string{"remove", "--deployment", "off", "--json"}
	var got removal
	if err := json.Unmarshal([]byte(e.must(t, append(args, "--dry-run")...)), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(removal{hub.Client.Host(), "off", "removed", true, 2, []string{}}, got); d != "" {
		t.Errorf("--dry-run (-want +got):\n%s", d)
	}
	if _, err := hub.Client.Configuration(t.Context(), "off"); err != nil {
		t.Fatalf("--dry-run removed it: %v", err)
	}
	if err := json.Unmarshal([]byte(e.must(t, args...)), &got); err != nil || got.DryRun {
		t.Errorf("got %+v (%v)", got, err)
	}
	if _, err := hub.Client.Configuration(t.Context(), "off"); err == nil {
		t.Error("the deployment is still there")
	}
	if d := cmp.Diff(had, desired(t, hub, "rtsptunnel")); d != "" {
		t.Errorf("the twin (-before +after):\n%s", d)
	}
}

// Devices that no other full deployment targets keep what they have, and are named.
func TestRemove_full(t *testing.T) {
	e, hub := startFleet(t)
	write(t, "off.json", off)
	e.must(t, append([]string{"apply"}, fleetArgs("off.json", "off", 20, "*")...)...)
	e.must(t, "apply", template, "--deployment", "next", "--priority", "2", "--target-condition", "tags.site = 'b'")
	had := desired(t, hub, "$edgeAgent")
	code, stdout, stderr := e.run(t, "remove", "--deployment", "base")
	if code != 0 || desired(t, hub, "$edgeAgent") == nil {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	host := hub.Client.Host()
	want := `deployment base removed at ` + host + `
devices that it targeted: 3
devices that another full deployment targets, and that have its content within minutes: 1
devices that keep their modules and properties, since no other full deployment targets them: 2
  edge1
  edge3
`
	if d := cmp.Diff(want, stdout); d != "" {
		t.Errorf("stdout (-want +got):\n%s", d)
	}
	want = `deployment base targets 3 devices (edge1, edge2, edge3)
comparing it with the other full deployments: 1
removing deployment base
`
	if d := cmp.Diff(want, stderr); d != "" {
		t.Errorf("stderr (-want +got):\n%s", d)
	}
	if d := cmp.Diff(had, desired(t, hub, "$edgeAgent")); d != "" {
		t.Errorf("the modules of edge1 (-before +after):\n%s", d)
	}
	code, stdout, _ = e.run(t, "remove", "--deployment", "next", "--dry-run")
	if code != 0 || !strings.HasPrefix(stdout, "deployment next would be removed at "+host+"\n") || !strings.HasSuffix(stdout, ": 1\n  edge2\n") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

func TestRemove_refused(t *testing.T) {
	e, hub := startFleet(t)
	host := hub.Client.Host()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "which deployment? Give --deployment ID", nil},
		{2, `unexpected argument "base"`, []string{"base"}},
		{2, "unknown flag: --device", []string{"--device", "edge1"}},
		{1, "there is no deployment other at " + host + "; tunnelctl hub deployment list lists them", []string{"--deployment", "other"}},
		{1, "there is no deployment Base at " + host, []string{"--deployment", "Base", "--dry-run"}},
	} {
		e.refused(t, c.code, []string{c.want}, slices.Concat([]string{"remove"}, c.args)...)
	}
	if _, err := hub.Client.Configuration(t.Context(), "base"); err != nil {
		t.Error(err)
	}
	if help := e.must(t, "remove", "--help"); !strings.Contains(help, "cannot be taken back") {
		t.Errorf("help says nothing of --device:\n%s", help)
	}
	e.variables = nil
	e.refused(t, 2, []string{"which hub? Set HUB_CONNECTION_STRING"}, "remove", "--deployment", "base")
}

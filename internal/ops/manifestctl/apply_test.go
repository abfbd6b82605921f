package manifestctl_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

// startWithHub is start with a hub, which the environment names.
func startWithHub(t *testing.T) (*env, *hubtest.Hub) {
	t.Helper()
	hub := hubtest.Start(t, io.Discard)
	e := start(t)
	e.variables = map[string]string{"HUB_CONNECTION_STRING": hub.OwnerConnectionString(), "HUB_CA_FILE": hub.CAFile()}
	return e, hub
}

// desired returns the desired properties of a module, without those that the hub adds.
func desired(t *testing.T, hub *hubtest.Hub, module string) map[string]any {
	t.Helper()
	twin, err := hub.Client.Twin(t.Context(), hubclient.Identity{Device: hub.ID.Device, Module: module})
	if err != nil {
		t.Fatal(err)
	}
	var section map[string]any
	if err := json.Unmarshal(twin.Properties.Desired, &section); err != nil {
		t.Fatal(err)
	}
	delete(section, "$version")
	delete(section, "$metadata")
	return section
}

type outcome struct {
	Hub, Device, Deployment, Action string
	DryRun                          bool
	Changes                         []struct{ Place, Change string }
	Targeted                        *int
	Conflicts                       []string
}

func (e *env) apply(t *testing.T, args ...string) outcome {
	t.Helper()
	var o outcome
	if err := json.Unmarshal([]byte(e.must(t, append([]string{"apply", "--json"}, args...)...)), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestApply_device(t *testing.T) {
	e, hub := startWithHub(t)
	dry := e.apply(t, template, "--device", "edge1", "--dry-run")
	if dry.Action != "applied" || !dry.DryRun || dry.Hub != hub.Client.Host() || len(desired(t, hub, "$edgeAgent")) != 0 {
		t.Fatalf("--dry-run: %+v", dry)
	}
	places := map[string]string{}
	for _, c := range dry.Changes {
		places[c.Place] = c.Change
	}
	if places["$edgeAgent/modules"] != "added" || places["rtsptunnel/cameras"] != "added" {
		t.Errorf("changes %v", places)
	}
	said := e.must(t, "apply", template, "--device", "edge1")
	for _, want := range []string{"applied to device edge1 at " + hub.Client.Host(), "added   $edgeAgent/modules\n", "tunnelctl hub twin get 'edge1/$edgeAgent'"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
	var want struct {
		ModulesContent map[string]map[string]any `json:"modulesContent"`
	}
	if err := json.Unmarshal([]byte(read(t, "expanded/deployment.json")), &want); err != nil {
		t.Fatal(err)
	}
	for module, section := range want.ModulesContent {
		if d := cmp.Diff(section["properties.desired"], any(desired(t, hub, module))); d != "" {
			t.Errorf("%s (-manifest +hub):\n%s", module, d)
		}
	}
	// A second time, nothing changes.
	if again := e.apply(t, "--device", "edge1", template); again.Action != "unchanged" || len(again.Changes) != 0 {
		t.Errorf("again: %+v", again)
	}
	write(t, template, strings.Replace(read(t, template), `"192.0.2.10"`, `"192.0.2.99"`, 1))
	changed := e.apply(t, "--device", "edge1", template)
	if len(changed.Changes) != 1 || !strings.HasSuffix(changed.Changes[0].Place, "/host") || changed.Changes[0].Change != "changed" {
		t.Errorf("one leaf: %+v", changed)
	}
}

// A section without properties.desired leaves the desired properties as they are.
func TestApply_withoutDesired(t *testing.T) {
	e, hub := startWithHub(t)
	e.must(t, "apply", template, "--device", "edge1")
	had := desired(t, hub, "rtsptunnel")
	var m struct {
		ModulesContent map[string]map[string]any `json:"modulesContent"`
	}
	if err := json.Unmarshal([]byte(e.must(t, "expand", template)), &m); err != nil {
		t.Fatal(err)
	}
	m.ModulesContent["rtsptunnel"] = map[string]any{}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "less.json", string(text))
	if got := e.apply(t, "less.json", "--device", "edge1"); got.Action != "unchanged" || len(got.Changes) != 0 {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff(had, desired(t, hub, "rtsptunnel")); d != "" {
		t.Error(d)
	}
}

// The commands that apply prints work in a shell, whatever the id contains.
func TestApply_commands(t *testing.T) {
	e, hub := startWithHub(t)
	const id = `a$b'(c);d#e`
	said := e.must(t, "apply", template, "--deployment", id, "--priority", "1", "--target-condition", "*")
	i := strings.Index(said, "  tunnelctl hub query")
	if i < 0 {
		t.Fatalf("no command in:\n%s", said)
	}
	commands := strings.Replace(said[i:], "\nor az", "\naz", 1)
	script := "tunnelctl() { printf '%s\\n' \"$3\"; }\naz() { for last; do :; done; printf '%s\\n' \"$last\"; }\n" + commands
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
	query, shown, _ := strings.Cut(string(out), "\n")
	if err != nil || shown != id+"\n" {
		t.Fatalf("%v: az is asked for %q", err, shown)
	}
	rows := 0
	for _, err := range hub.Client.Query(t.Context(), query) {
		if err != nil {
			t.Fatal(err)
		}
		rows++
	}
	if rows != 1 {
		t.Errorf("%q finds %d devices, want 1", query, rows)
	}
}

const off = `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.tunnels.enabled": false}}}`

func TestApply_deployment(t *testing.T) {
	e, hub := startWithHub(t)
	dry := e.apply(t, template, "--deployment", "base", "--priority", "1", "--target-condition", "*", "--dry-run")
	if dry.Action != "created" || !dry.DryRun || *dry.Targeted != 1 {
		t.Errorf("--dry-run: %+v", dry)
	}
	if _, err := hub.Client.Configuration(t.Context(), "base"); err == nil {
		t.Fatal("--dry-run has made it")
	}
	said := e.must(t, "apply", template, "--deployment", "base", "--priority", "1", "--target-condition", "*", "--label", "a=b", "--metric", "all=SELECT * FROM devices")
	for _, want := range []string{"deployment base created at " + hub.Client.Host(), "condition now: 1\n", "configurations.[[base]].status = 'Applied'"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
	made, err := hub.Client.Configuration(t.Context(), "base")
	if err != nil || made.Priority != 1 || made.TargetCondition != "*" || made.Labels["a"] != "b" || made.Metrics.Results["all"] != 1 {
		t.Errorf("made %+v (%v)", made, err)
	}
	write(t, "off.json", off)
	e.must(t, "apply", "off.json", "--deployment", "off", "--priority", "90", "--target-condition", "", "--layered")
	e.must(t, "apply", layer, "--layered", "--deployment", "layer", "--priority", "20", "--target-condition", "deviceId = 'edge1'")
	// The hub's result is the result of merge.
	want := e.must(t, "merge", template+"@1", layer+"@20", "--twin", "rtsptunnel")
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wanted, desired(t, hub, "rtsptunnel")); d != "" {
		t.Errorf("the twin (-merge +hub):\n%s", d)
	}

	// A second time: unchanged. With other settings: changed. Without --label, labels stay.
	args := []string{template, "--deployment", "base", "--target-condition", "*", "--priority"}
	if got := e.apply(t, append(args, "1")...); got.Action != "unchanged" {
		t.Errorf("again: %+v", got)
	}
	if got := e.apply(t, append(args, "2")...); got.Action != "changed" || len(got.Changes) != 1 || got.Changes[0].Place != "priority" {
		t.Errorf("another priority: %+v", got)
	}
	if made, err = hub.Client.Configuration(t.Context(), "base"); err != nil || made.Priority != 2 || made.Labels["a"] != "b" {
		t.Errorf("changed %+v (%v)", made, err)
	}
	write(t, template, strings.Replace(read(t, template), `"192.0.2.10"`, `"192.0.2.99"`, 1))
	e.refused(t, 1, []string{"content of a deployment cannot be changed; choose another id"}, append([]string{"apply"}, append(args, "2")...)...)
}

// Content with numbers or nulls in another notation is the same content.
func TestApply_sameContent(t *testing.T) {
	e, hub := startWithHub(t)
	for i, value := range []string{`{"n": 1, "m": null}`, `{"n": 1.0}`} {
		write(t, "layer.json", `{"modulesContent": {"$edgeAgent": {}, "other": {"properties.desired.a": `+value+`}}}`)
		e.must(t, "apply", "layer.json", "--layered", "--deployment", "same", "--target-condition", "*", "--priority", strconv.Itoa(i))
	}
	if got, err := hub.Client.Configuration(t.Context(), "same"); err != nil || got.Priority != 1 {
		t.Errorf("got %+v (%v)", got, err)
	}
}

// The output of az iot edge deployment show brings its own priority and condition.
func TestApply_header(t *testing.T) {
	e, hub := startWithHub(t)
	write(t, "shown.json", `{"id": "shown", "priority": 7, "targetCondition": "deviceId = 'edge1'", "content": `+off+`}`)
	e.must(t, "apply", "shown.json", "--deployment", "shown", "--layered")
	made, err := hub.Client.Configuration(t.Context(), "shown")
	if err != nil || made.Priority != 7 || made.TargetCondition != "deviceId = 'edge1'" {
		t.Errorf("made %+v (%v)", made, err)
	}
}

func TestApply_refused(t *testing.T) {
	e, hub := startWithHub(t)
	write(t, "off.json", off)
	write(t, "bad.json", strings.Replace(off, "false", `"no"`, 1))
	if _, err := hub.Client.Register(t.Context(), hubclient.Registration{DeviceID: "plain"}); err != nil {
		t.Fatal(err)
	}
	fleet := []string{"--deployment", "d", "--priority", "1", "--target-condition", "*"}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "where to?", []string{template}},
		{2, "where to?", []string{template, "--device", "edge1", "--deployment", "d"}},
		{2, "--priority is for --deployment", []string{template, "--device", "edge1", "--priority", "1"}},
		{2, "--priority must be 0 or more", []string{template, "--deployment", "d", "--priority", "-1"}},
		{2, "--priority is missing", []string{template, "--deployment", "d", "--target-condition", "*"}},
		{2, "--target-condition is missing", []string{template, "--deployment", "d", "--priority", "1"}},
		{2, "--force is for --deployment", []string{template, "--device", "edge1", "--force"}},
		{2, "want NAME=VALUE", append([]string{template, "--label", "a"}, fleet...)},
		{2, "given twice", append([]string{template, "--label", "a=1", "--label", "a=2"}, fleet...)},
		{2, "looks like a connection string", append([]string{template, "--label", "HostName=h;SharedAccessKey=x"}, fleet...)},
		{1, "bad.json:1: ", append([]string{"bad.json", "--layered"}, fleet...)},
		{1, "none.json", append([]string{"none.json"}, fleet...)},
		{1, "give --layered if you mean that", append([]string{"off.json"}, fleet...)},
		{1, "leave out --layered", append([]string{template, "--layered"}, fleet...)},
		{1, "cannot be the whole deployment of a device", []string{"off.json", "--device", "edge1"}},
		{1, "tunnelctl hub device list", []string{template, "--device", "missing"}},
		{1, "plain is no IoT Edge device", []string{template, "--device", "plain"}},
		{1, "--target-condition: the hub says: ", []string{template, "--deployment", "d", "--priority", "1", "--target-condition", "status = 'enabled'"}},
		{1, "--metric m: the hub says: ", append([]string{template, "--metric", "m=SELECT"}, fleet...)},
		{1, "lower case", append([]string{template}, "--deployment", "D", "--priority", "1", "--target-condition", "*")},
	} {
		e.refused(t, c.code, []string{c.want}, append([]string{"apply"}, c.args...)...)
	}
	if list, err := hub.Client.Configurations(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("something was made: %v (%v)", list, err)
	}
	e.variables = nil
	e.refused(t, 2, []string{"which hub? Set HUB_CONNECTION_STRING"}, append([]string{"apply", template}, fleet...)...)
	e.variables = map[string]string{"HUB_CONNECTION_STRING": hub.OwnerConnectionString()}
	e.refused(t, 1, []string{"unknown authority", "name the ca.pem"}, append([]string{"apply", template}, fleet...)...)
}

// A device that automatic deployments target gets a warning.
func TestApply_warnsOfDeployments(t *testing.T) {
	e, _ := startWithHub(t)
	e.must(t, "apply", template, "--deployment", "base", "--priority", "1", "--target-condition", "*")
	code, _, stderr := e.run(t, "apply", template, "--device", "edge1")
	if code != 0 || !strings.Contains(stderr, "warning: edge1 is targeted by automatic deployments (base)") {
		t.Errorf("exit code %d, stderr %s", code, stderr)
	}
}

// Package manifest and the hub emulator merge layers independently of each other. Both get
// the same result.
func TestMerge_asTheHub(t *testing.T) {
	e, hub := startWithHub(t)
	write(t, "whole.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired": {"cameras": {"a": {"host": "192.0.2.1", "localPort": 7777}}}}}}`)
	write(t, "leaf.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras.front": {"host": "192.0.2.77"}, "properties.desired.cameras.x": {"host": "192.0.2.78", "localPort": 9999}}}}`)
	write(t, "host.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras.front.host": "192.0.2.77"}}}`)
	write(t, "null.json", `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras": null}}}`)
	write(t, "off.json", off)
	e.must(t, "apply", template, "--deployment", "base", "--priority", "1", "--target-condition", "*")
	modules := []string{"$edgeAgent", "$edgeHub", "rtsptunnel"}
	for _, layers := range [][]string{
		{layer},
		{"off.json"},
		{"host.json"},
		{layer, "off.json"},
		{"whole.json", layer},
		{layer, "whole.json"},
		{"leaf.json", "off.json"},
		{layer, "null.json"},
		{"null.json", layer},
		{"null.json"},
		{"whole.json", "leaf.json", layer, "off.json"},
	} {
		args := []string{"merge", template}
		for i, file := range layers {
			e.must(t, "apply", file, "--layered", "--deployment", "l"+string(rune('0'+i)), "--priority", string(rune('2'+i)), "--target-condition", "*")
			args = append(args, file)
		}
		var merged struct {
			ModulesContent map[string]map[string]any `json:"modulesContent"`
		}
		if err := json.Unmarshal([]byte(e.must(t, args...)), &merged); err != nil {
			t.Fatal(err)
		}
		for _, module := range modules {
			got, want := desired(t, hub, module), merged.ModulesContent[module]["properties.desired"]
			if d := cmp.Diff(want, any(got)); d != "" {
				t.Errorf("%s of %v (-manifest +hub):\n%s", module, layers, d)
			}
		}
		for i := range layers {
			if err := hub.Client.DeleteConfiguration(t.Context(), "l"+string(rune('0'+i)), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
}

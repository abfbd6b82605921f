package manifestctl_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/ops/manifestctl"
	"rtsptunnel/internal/testkit/hubtest"
)

// layerOf returns a layer that sets parts of the desired properties of rtsptunnel.
func layerOf(parts string) string {
	return `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {` + parts + `}}}`
}

// addDevice registers an IoT Edge device with a site as its tag.
func addDevice(t *testing.T, hub *hubtest.Hub, id, site string) {
	t.Helper()
	_, err := hub.Client.Register(t.Context(), hubclient.Registration{DeviceID: id, Capabilities: &hubclient.Capabilities{IoTEdge: true}})
	if err != nil {
		t.Fatal(err)
	}
	tagDevice(t, hub, id, site)
}

func tagDevice(t *testing.T, hub *hubtest.Hub, id, site string) {
	t.Helper()
	tags := json.RawMessage(`{"site": "` + site + `"}`)
	if _, err := hub.Client.UpdateTwin(t.Context(), hubclient.Identity{Device: id}, hubclient.TwinUpdate{Tags: tags}); err != nil {
		t.Fatal(err)
	}
}

// fleetArgs are the arguments that apply a layer to a fleet.
func fleetArgs(file, id string, priority int, condition string) []string {
	return []string{file, "--layered", "--deployment", id, "--priority", strconv.Itoa(priority), "--target-condition", condition}
}

// startFleet returns a hub with edge1 of site a, edge2 of site b and edge3 of site c, and
// the base for all of them. The base has the camera front with the local port 8554.
func startFleet(t *testing.T) (*env, *hubtest.Hub) {
	t.Helper()
	e, hub := startWithHub(t)
	tagDevice(t, hub, "edge1", "a")
	addDevice(t, hub, "edge2", "b")
	addDevice(t, hub, "edge3", "c")
	e.must(t, "apply", template, "--deployment", "base", "--priority", "1", "--target-condition", "*")
	return e, hub
}

// layerBefore is a layer that a hub has already.
type layerBefore struct {
	parts     string
	priority  int
	condition string
}

func (l layerBefore) create(t *testing.T, hub *hubtest.Hub, id string) {
	t.Helper()
	if _, err := hub.Client.CreateConfiguration(t.Context(), hubclient.Configuration{
		ID: id, Priority: l.priority, TargetCondition: l.condition, Content: json.RawMessage(layerOf(l.parts)),
	}); err != nil {
		t.Fatal(err)
	}
}

func removeFrom(t *testing.T, hub *hubtest.Hub, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := hub.Client.DeleteConfiguration(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	sidePort8554 = `"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 8554}`
	sidePort8556 = `"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 8556}`
)

// Each conflict is an error, and nothing is written. --force makes it a warning.
func TestApply_conflicts(t *testing.T) {
	e, hub := startFleet(t)
	for name, c := range map[string]struct {
		before layerBefore
		parts  string
		args   []string
		want   string
	}{
		"a local port of the base": {
			parts: sidePort8554, args: fleetArgs("new.json", "new", 20, "*"),
			want: "camera side of rtsptunnel has local port 8554, as has camera front of deployment base, on 3 devices (edge1, edge2, edge3)",
		},
		"a port that is the local port": {
			parts:  `"properties.desired.cameras": {"front": null, "side": {"host": "192.0.2.9", "port": 7001}}`,
			before: layerBefore{`"properties.desired.cameras.yard": {"host": "192.0.2.8", "localPort": 7001}`, 30, "tags.site = 'b'"},
			args:   fleetArgs("new.json", "new", 20, "*"),
			want:   "camera side of rtsptunnel has local port 7001, as has camera yard of deployment old, on 1 device (edge2)",
		},
		"a leaf": {
			before: layerBefore{`"properties.desired.cameras.yard": {"host": "192.0.2.8", "localPort": 7001}`, 30, "tags.site != 'c'"},
			parts:  `"properties.desired.cameras.yard.localPort": 8554`, args: fleetArgs("new.json", "new", 40, "tags.site = 'b'"),
			want: "camera yard of rtsptunnel has local port 8554, as has camera front of deployment base, on 1 device (edge2)",
		},
		"an equal priority": {
			before: layerBefore{`"properties.desired.log.level": "debug"`, 20, "tags.site IN ['a', 'b']"},
			parts:  `"properties.desired.tunnels.enabled": false`, args: fleetArgs("new.json", "new", 20, "tags.site = 'b'"),
			want: "deployment old has priority 20, too, on 1 device (edge2); IoT Hub lets the newer one win",
		},
		"no device": {
			parts: `"properties.desired.tunnels.enabled": false`, args: fleetArgs("new.json", "new", 20, "tags.site = 'x'"),
			want: "no IoT Edge device meets the target condition",
		},
		"layers that cannot be merged": {
			before: layerBefore{`"properties.desired.unknown": "x"`, 20, "tags.site = 'b'"},
			parts:  sidePort8556 + `, "properties.desired.unknown.a": "x"`, args: fleetArgs("new.json", "new", 30, "*"),
			want: "the deployments of 1 device (edge2) cannot be merged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.before.create(t, hub, "old")
			write(t, "new.json", layerOf(c.parts))
			e.checkConflict(t, hub, c.want, c.args)
			removeFrom(t, hub, "old", "new")
		})
	}
}

// checkConflict checks that apply refuses and, with --force, makes a deployment with the id
// new.
func (e *env) checkConflict(t *testing.T, hub *hubtest.Hub, want string, args []string) {
	t.Helper()
	apply := append([]string{"apply"}, args...)
	for _, more := range []string{"--json", "--dry-run"} {
		e.refused(t, 1, []string{"conflict: ", want, "nothing was written", "--force"}, append(apply, more)...)
	}
	if _, err := hub.Client.Configuration(t.Context(), "new"); err == nil {
		t.Fatal("it was made in spite of the conflict")
	}
	code, stdout, stderr := e.run(t, append(apply, "--force", "--json")...)
	var forced outcome
	if err := json.Unmarshal([]byte(stdout), &forced); code != 0 || err != nil {
		t.Fatalf("--force: exit code %d, %v: %s", code, err, stderr)
	}
	if forced.Action != "created" || len(forced.Conflicts) != 1 || !strings.HasPrefix(forced.Conflicts[0], want) || !strings.HasSuffix(stderr, "warning: "+forced.Conflicts[0]+"\n") {
		t.Errorf("--force: %+v, stderr %q", forced, stderr)
	}
	if _, err := hub.Client.Configuration(t.Context(), "new"); err != nil {
		t.Error(err)
	}
	// The hub has it already: nothing is written, so nothing is refused.
	if code, stdout, stderr := e.run(t, apply...); code != 0 || !strings.Contains(stdout, "is up to date") || !strings.Contains(stderr, "warning: "+want) {
		t.Errorf("again: exit code %d, %s, stderr %s", code, stdout, stderr)
	}
}

// A local port conflicts only with one that the same device gets from another deployment.
func TestApply_noConflicts(t *testing.T) {
	e, hub := startFleet(t)
	layerBefore{`"properties.desired.cameras.yard": {"host": "192.0.2.8", "localPort": 7002}`, 20, "tags.site = 'b'"}.create(t, hub, "other")
	layerBefore{`"properties.desired.cameras.yard": {"host": "192.0.2.8", "localPort": 7004}`, 1, "tags.site = 'a'"}.create(t, hub, "beside")
	layerBefore{`"properties.desired.cameras.one": {"host": "192.0.2.8", "localPort": 7005}`, 5, "*"}.create(t, hub, "one")
	layerBefore{`"properties.desired.cameras.other": {"host": "192.0.2.8", "localPort": 7005}, "properties.desired.cameras.none.user": "x"`, 6, "*"}.create(t, hub, "two")
	write(t, "low.json", strings.Replace(read(t, "expanded/deployment.json"), "8554", "7003", 1))
	e.must(t, "apply", "low.json", "--deployment", "low", "--priority", "0", "--target-condition", "*")
	for name, parts := range map[string]string{
		"the camera replaced":        `"properties.desired.cameras.front": {"host": "192.0.2.9", "localPort": 8554}`,
		"the camera removed":         `"properties.desired.cameras.front": null, ` + sidePort8554,
		"all properties replaced":    `"properties.desired": {"cameras": {"side": {"host": "192.0.2.9", "localPort": 8554}}}`,
		"another port":               sidePort8556,
		"the port of another site":   `"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 7002}`,
		"the port of a hidden base":  `"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 7003}`,
		"of a layer beside the base": `"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 7004}`,
		"a port of two others":       `"properties.desired.cameras.one.host": "192.0.2.9"`,
		"cameras without a host":     `"properties.desired.cameras.two.user": "x"`,
	} {
		t.Run(name, func(t *testing.T) {
			write(t, "new.json", layerOf(parts))
			// A layer that lacks a camera's host gets a warning.
			code, _, stderr := e.run(t, append([]string{"apply"}, fleetArgs("new.json", "new", 20, "tags.site = 'a'")...)...)
			if code != 0 || strings.Contains(stderr, "local port") {
				t.Fatalf("exit code %d, stderr %s", code, stderr)
			}
			removeFrom(t, hub, "new")
		})
	}
}

// A full deployment that another one hides changes nothing, so that layers above the other
// one are no conflict, even if they cannot be merged.
func TestApply_hiddenDeployment(t *testing.T) {
	e, hub := startFleet(t)
	layerBefore{`"properties.desired.unknown": "x"`, 20, "*"}.create(t, hub, "one")
	layerBefore{`"properties.desired.unknown.a": "x"`, 30, "*"}.create(t, hub, "two")
	e.must(t, "apply", template, "--deployment", "low", "--priority", "0", "--target-condition", "*")
	e.refused(t, 1, []string{"conflict: the deployments of 3 devices", "cannot be merged"},
		"apply", template, "--deployment", "high", "--priority", "10", "--target-condition", "*")
}

// A conflict is found among many deployments for other devices within a minute's queries of
// a hub of tier S1.
func TestApply_conflictAmongMany(t *testing.T) {
	e, hub := startFleet(t)
	for i := range 50 {
		condition := fmt.Sprintf("tags.site IN ['c', 'x%d']", i)
		if i == 33 {
			condition = "tags.site != 'a'"
		}
		parts := fmt.Sprintf(`"properties.desired.cameras.yard": {"host": "192.0.2.8", "localPort": %d}`, 7000+i)
		layerBefore{parts, 100 + i, condition}.create(t, hub, fmt.Sprintf("site%d", i))
	}
	write(t, "new.json", layerOf(`"properties.desired.cameras.side": {"host": "192.0.2.9", "localPort": 7033}`))
	hub.Throttle()
	hub.Stop(t)
	hub.StartAgain(t)
	e.refused(t, 1, []string{"conflict: camera side of rtsptunnel has local port 7033, as has camera yard of deployment site33, on 1 device (edge2)"},
		append([]string{"apply"}, fleetArgs("new.json", "new", 30, "tags.site = 'b'")...)...)
}

// A change of a deployment is compared, too.
func TestApply_conflictOfAChange(t *testing.T) {
	e, hub := startFleet(t)
	write(t, "off.json", off)
	e.must(t, append([]string{"apply"}, fleetArgs("off.json", "one", 20, "tags.site = 'a'")...)...)
	e.must(t, append([]string{"apply"}, fleetArgs("off.json", "two", 20, "tags.site = 'b'")...)...)
	e.refused(t, 1, []string{"deployment one has priority 20, too, on 1 device (edge1)"}, append([]string{"apply"}, fleetArgs("off.json", "two", 20, "*")...)...)
	if c, err := hub.Client.Configuration(t.Context(), "two"); err != nil || c.TargetCondition != "tags.site = 'b'" {
		t.Errorf("got %+v (%v)", c, err)
	}
}

// Flags that differ from the file's own id, priority or condition are conflicts.
func TestApply_contradictions(t *testing.T) {
	e, hub := startFleet(t)
	write(t, "shown.json", `{"id": "shown", "priority": 7, "targetCondition": "tags.site = 'a'", "content": `+off+`}`)
	same := []string{"apply", "shown.json", "--layered", "--deployment", "shown", "--priority", "7", "--target-condition", "tags.site = 'a'"}
	for place, value := range map[int][2]string{
		4: {"new", "--deployment new contradicts shown.json, whose id is \"shown\""},
		6: {"8", "--priority 8 contradicts shown.json, whose priority is 7"},
		8: {"tags.site = 'b'", "--target-condition contradicts the targetCondition in shown.json"},
	} {
		args := slices.Clone(same)
		args[place] = value[0]
		e.refused(t, 1, []string{"conflict: " + value[1], "nothing was written"}, args...)
	}
	write(t, "escape.json", `{"id": "\u001b[2J", "content": `+off+`}`)
	e.refused(t, 1, []string{`whose id is "\x1b[2J"`}, append([]string{"apply", "escape.json"}, same[2:]...)...)
	if list, err := hub.Client.Configurations(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("something was made: %v (%v)", list, err)
	}
	e.must(t, same...)
}

func TestEdgeContent(t *testing.T) {
	for content, want := range map[string]bool{
		off:                       true,
		`{"deviceContent": {}}`:   false,
		`{"moduleContent": {}}`:   false,
		`{"modulesContent": 5}`:   false,
		`{"modulesContent": null`: false,
	} {
		if got := manifestctl.EdgeContent(hubclient.Configuration{Content: json.RawMessage(content)}); (got != nil) != want {
			t.Errorf("%s: got %v", content, got)
		}
	}
}

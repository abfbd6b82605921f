package rollout_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/store"
)

const (
	base = `{"$edgeAgent":{"properties.desired":{"modules":{"m":{},"n":{}}}},"$edgeHub":{"properties.desired":{}},
		"m":{"properties.desired":{"a":1,"cameras":{"front":{"host":"1"}}}}}`
	layer = `{"$edgeAgent":{},"m":{"properties.desired.cameras.back":{"host":"2"}}}`
)

// env is a rollout over a store with one IoT Edge device, edge1.
type env struct {
	*rollout.Rollout

	store   *store.Store
	dropped []store.ID
}

func start(tb testing.TB) *env {
	tb.Helper()
	e := &env{store: store.New()}
	var err error
	e.Rollout, err = rollout.New(rollout.Options{Store: e.store, Drop: func(id store.ID) { e.dropped = append(e.dropped, id) }})
	if err != nil {
		tb.Fatal(err)
	}
	e.createEdgeDevice(tb, "edge1")
	return e
}

func (e *env) createEdgeDevice(tb testing.TB, device string) {
	tb.Helper()
	if _, err := e.store.Create(store.ID{Device: device}, store.Settings{IoTEdge: true}); err != nil {
		tb.Fatal(err)
	}
}

func (e *env) create(tb testing.TB, id string, priority int, target, content string) store.Configuration {
	tb.Helper()
	c, err := e.Create(configuration(id, priority, target, content))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func configuration(id string, priority int, target, content string) store.Configuration {
	return store.Configuration{
		ID: id, SchemaVersion: "1.0", Priority: priority, TargetCondition: target,
		Content: json.RawMessage(`{"modulesContent":` + content + `}`),
	}
}

// tag patches the tags of a device.
func (e *env) tag(tb testing.TB, device, tags string) {
	tb.Helper()
	patch, err := store.ParsePatch([]byte(tags))
	if err == nil {
		_, err = e.store.UpdateTwin(store.ID{Device: device}, store.TwinUpdate{Tags: patch}, "")
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// want checks the desired properties of a module of edge1, and the statuses of
// configurations in its twin.
func (e *env) want(tb testing.TB, module, desired, statuses string) {
	tb.Helper()
	twin, err := e.store.Twin(store.ID{Device: "edge1", Module: module})
	if err != nil {
		tb.Fatal(err)
	}
	gotDesired, _ := json.Marshal(twin.Desired.Properties)
	gotStatuses, _ := json.Marshal(twin.Configurations)
	if string(gotDesired) != desired || string(gotStatuses) != statuses {
		tb.Errorf("%s: %s, %s\nwant %s, %s", module, gotDesired, gotStatuses, desired, statuses)
	}
}

func (e *env) modules(tb testing.TB) []string {
	tb.Helper()
	list, err := e.store.Modules("edge1")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.ID.Module)
	}
	return names
}

const (
	baseOnly  = `{"a":1,"cameras":{"front":{"host":"1"}}}`
	withLayer = `{"a":1,"cameras":{"back":{"host":"2"},"front":{"host":"1"}}}`
)

// A change of tags, reported properties or the target condition applies or reverts a
// layer.
func TestRollout_followsTagsAndConditions(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	l := e.create(t, "layer", 2, "tags.site = 'a'", layer)
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
	e.tag(t, "edge1", `{"site":"a"}`)
	e.want(t, "m", withLayer, `{"base":"Applied","layer":"Applied"}`)
	e.tag(t, "edge1", `{"site":null}`)
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)

	l.TargetCondition = "deviceId = 'edge1' AND NOT IS_DEFINED(properties.reported.old)"
	if _, err := e.Update(l, l.ETag()); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", withLayer, `{"base":"Applied","layer":"Applied"}`)
	if _, _, err := e.store.PatchReported(store.ID{Device: "edge1"}, store.Patch{"old": true}); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
}

func TestRollout_priorityAndDelete(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	e.create(t, "off", 9, "*", `{"$edgeAgent":{},"m":{"properties.desired.enabled":false}}`)
	on := e.create(t, "on", 5, "*", `{"$edgeAgent":{},"m":{"properties.desired.enabled":true}}`)
	e.want(t, "m", `{"a":1,"cameras":{"front":{"host":"1"}},"enabled":false}`, `{"base":"Applied","off":"Applied","on":"Targeted"}`)
	on.Priority = 10
	if _, err := e.Update(on, "*"); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", `{"a":1,"cameras":{"front":{"host":"1"}},"enabled":true}`, `{"base":"Applied","off":"Targeted","on":"Applied"}`)
	for _, id := range []string{"on", "off"} {
		if err := e.Delete(id, ""); err != nil {
			t.Fatal(err)
		}
	}
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
	// Without a deployment, the device keeps its modules and properties.
	if err := e.Delete("base", ""); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", baseOnly, `null`)
	e.tag(t, "edge1", `{"x":1}`)
	e.want(t, "m", baseOnly, `null`)
}

// Deployments create and delete modules, but not modules that others have created.
func TestRollout_identities(t *testing.T) {
	e := start(t)
	if _, err := e.store.Ensure(store.ID{Device: "edge1", Module: "ours"}); err != nil {
		t.Fatal(err)
	}
	e.create(t, "base", 1, "*", base)
	if got := e.modules(t); !cmp.Equal(got, []string{"$edgeAgent", "$edgeHub", "m", "n", "ours"}) {
		t.Errorf("modules %v", got)
	}
	e.create(t, "next", 2, "*", `{"$edgeAgent":{"properties.desired":{"modules":{"n":{}}}}}`)
	if got := e.modules(t); !cmp.Equal(got, []string{"$edgeAgent", "$edgeHub", "n", "ours"}) {
		t.Errorf("modules %v", got)
	}
	if d := cmp.Diff([]store.ID{{Device: "edge1", Module: "m"}}, e.dropped); d != "" {
		t.Errorf("dropped (-want +got):\n%s", d)
	}
}

// A deployment also applies to a device that is created later, or that becomes an IoT
// Edge device later. It never applies to other devices.
func TestRollout_newDevices(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	e.createEdgeDevice(t, "edge2")
	if _, err := e.store.Create(store.ID{Device: "plain"}, store.Settings{}); err != nil {
		t.Fatal(err)
	}
	e.tag(t, "plain", `{"x":1}`)
	if list, err := e.store.Modules("plain"); err != nil || len(list) != 0 {
		t.Errorf("a device that is not an IoT Edge device has %v (%v)", list, err)
	}
	if _, err := e.store.Update(store.ID{Device: "plain"}, store.Settings{IoTEdge: true}, ""); err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"edge2", "plain"} {
		twin, err := e.store.Twin(store.ID{Device: device, Module: "m"})
		if err != nil || twin.Configurations["base"] != "Applied" {
			t.Errorf("%s: %+v (%v)", device, twin.Configurations, err)
		}
	}
}

// A layer that would exceed a limit of twins changes nothing, and its status is
// Targeted.
func TestRollout_tooLarge(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	e.create(t, "large", 2, "*", `{"$edgeAgent":{},"m":{"properties.desired.text":"`+strings.Repeat("x", 4097)+`"}}`)
	e.want(t, "m", baseOnly, `{"base":"Targeted","large":"Targeted"}`)
	if err := e.Delete("large", ""); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
}

// A configuration with an invalid module name is refused, because it would block all
// other deployments.
func TestRollout_moduleNames(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	for _, content := range []string{
		`{"$edgeAgent":{},"a b":{"properties.desired.a":1}}`,
		`{"$edgeAgent":{"properties.desired.modules.a/b":{}}}`,
		`{"$edgeAgent":{"properties.desired":{"modules":{"":{}}}}}`,
	} {
		if _, err := e.Create(configuration("bad", 2, "*", content)); !errors.Is(err, store.ErrInvalidID) {
			t.Errorf("%s: %v, want %v", content, err, store.ErrInvalidID)
		}
	}
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
}

// An update of a device that is up to date writes nothing.
func TestRollout_upToDate(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	before := e.store.Revision()
	if _, err := rollout.New(rollout.Options{Store: e.store, Drop: func(store.ID) {}}); err != nil {
		t.Fatal(err)
	}
	if after := e.store.Revision(); after != before {
		t.Errorf("revision %d became %d", before, after)
	}
}

// The device gets a change as a patch of desired properties, with null for deleted
// properties.
func TestRollout_delivers(t *testing.T) {
	e := &env{store: store.New()}
	var patches []string
	e.store.OnDesired(func(p store.DesiredPatch) {
		text, _ := json.Marshal(p.Patch)
		patches = append(patches, p.ID.Module+string(text))
	})
	var err error
	if e.Rollout, err = rollout.New(rollout.Options{Store: e.store, Drop: func(store.ID) {}}); err != nil {
		t.Fatal(err)
	}
	e.createEdgeDevice(t, "edge1")
	e.create(t, "base", 1, "*", base)
	patches = nil
	e.create(t, "layer", 2, "*", `{"$edgeAgent":{},"m":{"properties.desired":{"cameras":{"front":{"host":"1"},"back":{}}}}}`)
	if d := cmp.Diff([]string{`m{"a":null,"cameras":{"back":{}}}`}, patches); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestApply(t *testing.T) {
	e := start(t)
	content := []byte(`{"modulesContent":` + base + `,"deviceContent":null,"moduleContent":{}}`)
	if err := e.Apply("edge1", content); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", baseOnly, `null`)
	e.want(t, "$edgeAgent", `{"modules":{"m":{},"n":{}}}`, `null`)
	// A layer adds properties. A complete $edgeAgent deletes the modules that it does not
	// name.
	if err := e.Apply("edge1", []byte(`{"modulesContent":`+layer+`}`)); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", withLayer, `null`)
	if err := e.Apply("edge1", []byte(`{"modulesContent":{"$edgeAgent":{"properties.desired":{"modules":{"m":{}}}}}}`)); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", withLayer, `null`)
	if got := e.modules(t); !cmp.Equal(got, []string{"$edgeAgent", "$edgeHub", "m"}) {
		t.Errorf("modules %v", got)
	}
	// The next update of the device restores the deployment.
	e.create(t, "base", 1, "*", base)
	if err := e.Apply("edge1", []byte(`{"modulesContent":{"$edgeAgent":{},"m":{"properties.desired":{"b":2}}}}`)); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", `{"b":2}`, `{"base":"Applied"}`)
	e.tag(t, "edge1", `{"x":1}`)
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
}

func TestApply_refusedChangesNothing(t *testing.T) {
	e := start(t)
	many := make(map[string]any)
	for i := range 51 {
		many[fmt.Sprint("m", i)] = map[string]any{}
	}
	fifty, _ := json.Marshal(many)
	for name, tt := range map[string]struct {
		device, content string
		want            error
	}{
		"unknown device": {"unknown", base, store.ErrDeviceNotFound},
		"no content":     {"edge1", `null`, deployment.ErrContent},
		"module's name":  {"edge1", `{"$edgeAgent":{"properties.desired":{"modules":{"a/b":{}}}},"m":{"properties.desired":{"a":1}}}`, store.ErrInvalidID},
		"too many":       {"edge1", `{"$edgeAgent":{"properties.desired":{"modules":` + string(fifty) + `}}}`, store.ErrTooManyModules},
		"limit":          {"edge1", `{"$edgeAgent":{"properties.desired":{}},"m":{"properties.desired":{"a b":1}}}`, store.ErrLimit},
	} {
		before := e.store.Revision()
		if err := e.Apply(tt.device, []byte(`{"modulesContent":`+tt.content+`}`)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if e.store.Revision() != before {
			t.Errorf("%s: the revision has changed", name)
		}
	}
}

// After concurrent changes, the devices match the last one.
func TestRollout_concurrent(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	e.create(t, "layer", 2, "tags.n > 0", layer)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				e.tag(t, "edge1", fmt.Sprintf(`{"n":%d}`, i%2))
			}
		})
		wg.Go(func() {
			for range 5 {
				c, err := e.store.Configuration("layer")
				if err == nil {
					_, err = e.Update(c, "*")
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	e.tag(t, "edge1", `{"n":1}`)
	e.want(t, "m", withLayer, `{"base":"Applied","layer":"Applied"}`)
}

// BenchmarkRollout changes a device's tags, and a configuration, in a large hub: 5,000
// devices and the maximum of 100 configurations.
func BenchmarkRollout(b *testing.B) {
	const devices = 5000
	e := start(b)
	for i := range devices {
		e.createEdgeDevice(b, fmt.Sprintf("d%d", i))
		e.tag(b, fmt.Sprintf("d%d", i), fmt.Sprintf(`{"site":"s%d"}`, i%98))
	}
	e.create(b, "base", 1, "*", base)
	for i := range 98 {
		e.create(b, fmt.Sprintf("layer%d", i), 2+i, fmt.Sprintf("tags.site = 's%d' AND tags.off != true", i), layer)
	}
	last := e.create(b, "last", 1000, "tags.site = 's1'", layer)
	b.Run("tag", func(b *testing.B) {
		for i := range b.N {
			e.tag(b, "d7", fmt.Sprintf(`{"off":%v}`, i%2 == 0))
		}
	})
	b.Run("configuration", func(b *testing.B) {
		for i := range b.N {
			last.TargetCondition = fmt.Sprintf("tags.site = 's%d'", i%98)
			if _, err := e.Update(last, "*"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

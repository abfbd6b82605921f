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
	e.edge(tb, "edge1")
	return e
}

func (e *env) edge(tb testing.TB, device string) {
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

// want checks the desired properties of a module of edge1 and what its twin says of
// configurations.
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

// Tags bring a device into the scope of a layer and out of it; so do conditions.
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
	// Without a deployment the device keeps what it has.
	if err := e.Delete("base", ""); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", baseOnly, `null`)
	e.tag(t, "edge1", `{"x":1}`)
	e.want(t, "m", baseOnly, `null`)
}

// Modules come and go with deployments, but not those that somebody else has made.
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

// A device that comes later, or becomes an IoT Edge device later, is configured too;
// others never are.
func TestRollout_newDevices(t *testing.T) {
	e := start(t)
	e.create(t, "base", 1, "*", base)
	e.edge(t, "edge2")
	if _, err := e.store.Create(store.ID{Device: "plain"}, store.Settings{}); err != nil {
		t.Fatal(err)
	}
	e.tag(t, "plain", `{"x":1}`)
	if list, err := e.store.Modules("plain"); err != nil || len(list) != 0 {
		t.Errorf("a device that is none of IoT Edge has %v (%v)", list, err)
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

// A layer that would break a limit of twins changes nothing, and says so.
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

// A module that no device can have is refused at once: it would stop all else.
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

// What is as it should be is not written again.
func TestRollout_changesNothingTwice(t *testing.T) {
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

// The device hears of a change as of any other, with null for what is gone.
func TestRollout_delivers(t *testing.T) {
	e := &env{store: store.New()}
	var heard []string
	e.store.OnDesired(func(p store.DesiredPatch) {
		text, _ := json.Marshal(p.Patch)
		heard = append(heard, p.ID.Module+string(text))
	})
	var err error
	if e.Rollout, err = rollout.New(rollout.Options{Store: e.store, Drop: func(store.ID) {}}); err != nil {
		t.Fatal(err)
	}
	e.edge(t, "edge1")
	e.create(t, "base", 1, "*", base)
	heard = nil
	e.create(t, "layer", 2, "*", `{"$edgeAgent":{},"m":{"properties.desired":{"cameras":{"front":{"host":"1"},"back":{}}}}}`)
	if d := cmp.Diff([]string{`m{"a":null,"cameras":{"back":{}}}`}, heard); d != "" {
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
	// Parts add to what is there; the modules that a whole $edgeAgent does not name go.
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
	// A deployment takes the device back with its next turn.
	e.create(t, "base", 1, "*", base)
	if err := e.Apply("edge1", []byte(`{"modulesContent":{"$edgeAgent":{},"m":{"properties.desired":{"b":2}}}}`)); err != nil {
		t.Fatal(err)
	}
	e.want(t, "m", `{"b":2}`, `{"base":"Applied"}`)
	e.tag(t, "edge1", `{"x":1}`)
	e.want(t, "m", baseOnly, `{"base":"Applied"}`)
}

func TestApply_refusesAllOrNothing(t *testing.T) {
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
		"unknown device": {"nobody", base, store.ErrDeviceNotFound},
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
			t.Errorf("%s: something has changed", name)
		}
	}
}

// Many changes at once end where the last of them wants it.
func TestRollout_atOnce(t *testing.T) {
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

// One change of a device's tags, and one of a configuration, in a hub with as many
// devices and configurations as there may be.
func BenchmarkRollout(b *testing.B) {
	const devices = 5000
	e := start(b)
	for i := range devices {
		e.edge(b, fmt.Sprintf("d%d", i))
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

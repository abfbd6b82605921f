package hubemulator_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
)

const (
	baseContent  = `{"modulesContent":{"$edgeAgent":{"properties.desired":{"modules":{"m1":{}}}},"m1":{"properties.desired":{"a":1,"b":2}}}}`
	layerContent = `{"modulesContent":{"$edgeAgent":{},"m1":{"properties.desired.a":3}}}`
)

// put creates a configuration, without If-Match.
func (s *service) put(t *testing.T, id, target, priority, content string) {
	t.Helper()
	body := `{"id":"` + id + `","targetCondition":"` + target + `","priority":` + priority + `,"content":` + content + `}`
	status, raw, err := s.request(t.Context(), http.MethodPut, "/configurations/"+id, body, "")
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s (%v)", id, status, raw, err)
	}
}

// A connected module gets a patch of desired properties for every deployment: to a single
// device, automatic, and a layer that a change of a tag applies and reverts.
func TestRollout_reachesConnectedModules(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	client := connect(t, options(t, hub, generation).SetOrderMatters(true))
	patches := make(chan string, 10)
	wait(t, client.Subscribe("$iothub/twin/PATCH/properties/desired/#", 0, func(_ paho.Client, m paho.Message) {
		patches <- string(m.Payload())
	}))
	s := newService(t, hub)
	status, raw, err := s.do(t.Context(), http.MethodPost, "/devices/edge1/applyConfigurationContent", baseContent)
	if err != nil || status != http.StatusNoContent {
		t.Fatalf("%d %s (%v)", status, raw, err)
	}
	s.put(t, "base", "*", "1", strings.Replace(baseContent, `"b":2`, `"c":2`, 1))
	s.put(t, "layer", "tags.site = 'x'", "2", layerContent)
	s.must(t, "PATCH", "/twins/edge1", `{"tags":{"site":"x"}}`)
	s.must(t, "PATCH", "/twins/edge1", `{"tags":{"site":"y"}}`)
	var got []string
	for range 4 {
		got = append(got, next(t, patches))
	}
	want := []string{`{"$version":2,"a":1,"b":2}`, `{"$version":3,"b":null,"c":2}`, `{"$version":4,"a":3}`, `{"$version":5,"a":1}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("patches (-want +got):\n%s", d)
	}
}

// When no deployment names a module of IoT Edge any more, its identity is deleted and its
// connection closed.
func TestRollout_dropsDeletedModules(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	s := newService(t, hub)
	lost := make(chan struct{}, 1)
	o := options(t, hub, generation)
	o.SetAutoReconnect(false)
	o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	connect(t, o)
	s.must(t, "PUT", "/devices/edge1/modules/m1", `{"deviceId":"edge1","moduleId":"m1","managedBy":"IotEdge"}`)
	s.put(t, "base", "*", "1", `{"modulesContent":{"$edgeAgent":{"properties.desired":{}}}}`)
	next(t, lost)
	if status, _, err := s.do(t.Context(), "GET", "/devices/edge1/modules/m1", ""); err != nil || status != http.StatusNotFound {
		t.Errorf("the module: %d (%v)", status, err)
	}
}

// After a restart the hub has the same configurations and twins, and still applies the
// configurations.
func TestRollout_afterRestart(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	hub, _ := startUnclosed(t, dir)
	s := newService(t, hub)
	s.put(t, "base", "*", "1", baseContent)
	s.put(t, "layer", "tags.site = 'x'", "2", layerContent)
	s.must(t, "PATCH", "/twins/edge1", `{"tags":{"site":"x"}}`)
	paths := []string{"/configurations", "/twins/edge1/modules/m1", "/twins/edge1/modules/$edgeAgent", "/devices/edge1/modules"}
	read := func(s *service) (all []string) {
		for _, path := range paths {
			all = append(all, string(s.must(t, "GET", path, "")))
		}
		return all
	}
	before := read(s)
	closeHub(t, hub)
	hub, _ = startIn(t, dir)
	s = newService(t, hub)
	if d := cmp.Diff(before, read(s)); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	s.must(t, "PATCH", "/twins/edge1", `{"tags":{"site":null}}`)
	var twin struct {
		Properties struct{ Desired map[string]any }
	}
	if err := json.Unmarshal(s.must(t, "GET", "/twins/edge1/modules/m1", ""), &twin); err != nil || twin.Properties.Desired["a"] != 1.0 {
		t.Errorf("twin without the tag: %v (%v)", twin, err)
	}
}

package deployment_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/deployment"
)

const base = `{
	"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "modules": {"m": {"image": "m:1"}, "n": {"image": "n:1"}}}},
	"$edgeHub": {"properties.desired": {"routes": {"r": "old"}}},
	"m": {"properties.desired": {"a": 1, "cameras": {"front": {"host": "10.0.0.1", "port": 554}}}}
}`

func parse(t *testing.T, text string) *deployment.Content {
	t.Helper()
	c, err := deployment.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// layer is one deployment of a test. Later ones of a list are newer.
type layer struct {
	id       string
	priority int
	content  string
}

func merge(t *testing.T, layers ...layer) deployment.Plan {
	t.Helper()
	var list []deployment.Deployment
	for i, l := range layers {
		list = append(list, deployment.Deployment{
			ID: l.id, Priority: l.priority, Created: time.Unix(int64(i), 0), Content: parse(t, l.content),
		})
	}
	return deployment.Merge(list)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// moduleOfBase has the desired properties of module m in base.
const moduleOfBase = `{"a":1,"cameras":{"front":{"host":"10.0.0.1","port":554}}}`

// on returns a layer that has these settings for module m.
func on(settings string) string { return `{"$edgeAgent":{},"m":{` + settings + `}}` }

// mergeTests have layers above base, which has priority 10.
var mergeTests = []struct {
	name   string
	layers []layer
	module string // the module with the properties of want
	want   string
}{
	{"base alone", nil, "m", moduleOfBase},
	{
		"a layer adds a part",
		[]layer{{"l", 20, on(`"properties.desired.cameras.back":{"host":"10.0.0.2"}`)}},
		"m", `{"a":1,"cameras":{"back":{"host":"10.0.0.2"},"front":{"host":"10.0.0.1","port":554}}}`,
	},
	{
		"a value replaces everything at its path",
		[]layer{{"l", 20, on(`"properties.desired.cameras.front":{"host":"x"}`)}},
		"m", `{"a":1,"cameras":{"front":{"host":"x"}}}`,
	},
	{
		"a leaf",
		[]layer{{"l", 20, on(`"properties.desired.cameras.front.port":8554`)}},
		"m", `{"a":1,"cameras":{"front":{"host":"10.0.0.1","port":8554}}}`,
	},
	{"properties.desired replaces all properties", []layer{{"l", 20, on(`"properties.desired":{"b":2}`)}}, "m", `{"b":2}`},
	{
		"the higher layer wins",
		[]layer{{"h", 30, on(`"properties.desired.a":3`)}, {"l", 20, on(`"properties.desired.a":2`)}},
		"m", `{"a":3,"cameras":{"front":{"host":"10.0.0.1","port":554}}}`,
	},
	{"of equal priorities the newer wins", []layer{{"z", 20, on(`"properties.desired":{"a":3}`)}, {"b", 20, on(`"properties.desired":{"a":2}`)}}, "m", `{"a":2}`},
	{"a layer must have a higher priority than the base", []layer{{"l", 10, on(`"properties.desired.a":2`)}}, "m", moduleOfBase},
	{"the higher base wins, and layers below it are ignored", []layer{
		{"l", 15, on(`"properties.desired.a":2`)}, {"b2", 20, `{"$edgeAgent":{"properties.desired":{}},"m":{"properties.desired":{"a":9}}}`},
	}, "m", `{"a":9}`},
	{"null deletes", []layer{{"l", 20, on(`"properties.desired.cameras":null`)}}, "m", `{"a":1}`},
	{"null in a value is dropped", []layer{{"l", 20, on(`"properties.desired.cameras":{"x":null,"y":{"z":null}}`)}}, "m", `{"a":1,"cameras":{"y":{}}}`},
	{"null of a missing value", []layer{{"l", 20, on(`"properties.desired.x.y":null`)}}, "m", moduleOfBase},
	{
		"a path through a value that is not an object",
		[]layer{{"l", 20, on(`"properties.desired.a.b":2`)}},
		"m", `{"a":{"b":2},"cameras":{"front":{"host":"10.0.0.1","port":554}}}`,
	},
	{
		"shorter paths of one layer first",
		[]layer{{"l", 20, on(`"properties.desired.cameras.x.y":1,"properties.desired.cameras":{"x":{"z":2}},"properties.desired.cameras.x":{"w":3}`)}},
		"m", `{"a":1,"cameras":{"x":{"w":3,"y":1}}}`,
	},
	{
		"a new module",
		[]layer{{"l", 20, `{"$edgeAgent":{"properties.desired.modules.o":{"image":"o:1"}},"o":{"properties.desired.b":[1,{"c":1.50}]}}`}},
		"o", `{"b":[1,{"c":1.50}]}`,
	},
	{
		"for the same module the higher priority wins",
		[]layer{{"l", 20, `{"$edgeAgent":{"properties.desired.modules.m":{"image":"m:2"}}}`}},
		"$edgeAgent", `{"modules":{"m":{"image":"m:2"},"n":{"image":"n:1"}},"schemaVersion":"1.1"}`,
	},
	{
		"a route",
		[]layer{{"l", 20, `{"$edgeAgent":{},"$edgeHub":{"properties.desired.routes.r":"new"}}`}},
		"$edgeHub", `{"routes":{"r":"new"}}`,
	},
}

func TestMerge_desired(t *testing.T) {
	for _, tt := range mergeTests {
		t.Run(tt.name, func(t *testing.T) {
			p := merge(t, append([]layer{{"base", 10, base}}, tt.layers...)...)
			if got := marshal(t, p.Desired[tt.module]); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestMerge_statuses(t *testing.T) {
	p := merge(t,
		layer{"base", 10, base},
		layer{"old-base", 5, base},
		layer{"below", 8, `{"$edgeAgent":{"properties.desired.modules.o":{}}}`},
		layer{"twin-only", 20, `{"$edgeAgent":{},"m":{"properties.desired.a":2}}`},
		layer{"overwritten", 21, `{"$edgeAgent":{"properties.desired.modules.o":{"image":"1"}},"m":{"properties.desired.cameras.x":1}}`},
		layer{"above", 22, `{"$edgeAgent":{"properties.desired.modules.o":{"image":"2"}},"m":{"properties.desired.cameras":{}}}`},
	)
	want := map[string]map[string]string{
		"$edgeAgent": {"base": "Applied", "old-base": "Targeted", "below": "Targeted", "twin-only": "Targeted", "overwritten": "Targeted", "above": "Applied"},
		"$edgeHub":   {"base": "Applied", "old-base": "Targeted"},
		// No layer overwrites all values of the base.
		"m": {"base": "Applied", "old-base": "Targeted", "twin-only": "Applied", "overwritten": "Targeted", "above": "Applied"},
	}
	if d := cmp.Diff(want, p.Statuses); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMerge_withoutBase(t *testing.T) {
	if p := merge(t); p.Desired != nil || len(p.Statuses) != 0 {
		t.Errorf("without deployments: %+v", p)
	}
	p := merge(t, layer{"l", 20, `{"$edgeAgent":{"properties.desired.modules.o":{}}}`})
	if p.Desired != nil || p.Statuses["$edgeAgent"]["l"] != deployment.Targeted {
		t.Errorf("layer without a base: %+v", p)
	}
}

// Plans of different devices share no memory with the content.
func TestMerge_sharesNothing(t *testing.T) {
	c := parse(t, base)
	list := []deployment.Deployment{{ID: "b", Content: c}}
	first := deployment.Merge(list)
	cameras, _ := first.Desired["m"]["cameras"].(map[string]any)
	clear(cameras)
	if second := deployment.Merge(list); !strings.Contains(marshal(t, second.Desired["m"]), "10.0.0.1") {
		t.Errorf("the second plan has %s", marshal(t, second.Desired["m"]))
	}
}

func TestParse_refuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 "object",
		`null`:                             "object",
		`[]`:                               "object",
		`{"$edgeAgent":1}`:                 "object",
		`{"$edgeAgent":{}} {}`:             "follows",
		`{"m":{"properties.desired":{}}}`:  "no $edgeAgent",
		`{"$edgeAgent":{"desired":{}}}`:    `"desired" does not begin with properties.desired`,
		`{"$edgeAgent":{"properties":{}}}`: "does not begin",
		`{"$edgeAgent":{"properties.desiredx":{}}}`:                     "does not begin",
		`{"$edgeAgent":{"properties.desired":[]}}`:                      "not an object",
		`{"$edgeAgent":{},"m":{"properties.desired":null}}`:             "m: properties.desired is not an object",
		`{"$edgeAgent":{},"m":{"properties.desired.a..b":1}}`:           "empty name",
		`{"$edgeAgent":{},"m":{"properties.desired.":1}}`:               "empty name",
		`{"$edgeAgent":{"properties.desired.systemModules.edgeHub":1}}`: "systemModules",
	} {
		_, err := deployment.Parse([]byte(text))
		if !errors.Is(err, deployment.ErrContent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestRunBy(t *testing.T) {
	c := parse(t, base)
	if got := deployment.RunBy(c.Overlay("$edgeAgent", nil)); !cmp.Equal(got, []string{"m", "n"}) {
		t.Errorf("got %v", got)
	}
	if got := deployment.RunBy(nil); len(got) != 0 {
		t.Errorf("without properties: %v", got)
	}
}

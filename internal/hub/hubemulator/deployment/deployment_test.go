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

// layer names one deployment of a test; it was created in the order of the test.
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

func TestMerge_desired(t *testing.T) {
	const module = `{"a":1,"cameras":{"front":{"host":"10.0.0.1","port":554}}}`
	on := func(settings string) string { return `{"$edgeAgent":{},"m":{` + settings + `}}` }
	tests := []struct {
		name   string
		layers []layer
		module string // whose desired properties want has
		want   string
	}{
		{"base alone", nil, "m", module},
		{
			"a layer adds a part",
			[]layer{{"l", 20, on(`"properties.desired.cameras.back":{"host":"10.0.0.2"}`)}},
			"m", `{"a":1,"cameras":{"back":{"host":"10.0.0.2"},"front":{"host":"10.0.0.1","port":554}}}`,
		},
		{
			"what is written at a path takes the place of all that was there",
			[]layer{{"l", 20, on(`"properties.desired.cameras.front":{"host":"x"}`)}},
			"m", `{"a":1,"cameras":{"front":{"host":"x"}}}`,
		},
		{
			"a leaf",
			[]layer{{"l", 20, on(`"properties.desired.cameras.front.port":8554`)}},
			"m", `{"a":1,"cameras":{"front":{"host":"10.0.0.1","port":8554}}}`,
		},
		{"the whole takes the place of the whole", []layer{{"l", 20, on(`"properties.desired":{"b":2}`)}}, "m", `{"b":2}`},
		{
			"the higher layer wins",
			[]layer{{"h", 30, on(`"properties.desired.a":3`)}, {"l", 20, on(`"properties.desired.a":2`)}},
			"m", `{"a":3,"cameras":{"front":{"host":"10.0.0.1","port":554}}}`,
		},
		{"of equal ones the newer wins", []layer{{"z", 20, on(`"properties.desired":{"a":3}`)}, {"b", 20, on(`"properties.desired":{"a":2}`)}}, "m", `{"a":2}`},
		{"a layer must be above the base", []layer{{"l", 10, on(`"properties.desired.a":2`)}}, "m", module},
		{"the higher base wins, and layers between them come to nothing", []layer{
			{"l", 15, on(`"properties.desired.a":2`)}, {"b2", 20, `{"$edgeAgent":{"properties.desired":{}},"m":{"properties.desired":{"a":9}}}`},
		}, "m", `{"a":9}`},
		{"null takes away", []layer{{"l", 20, on(`"properties.desired.cameras":null`)}}, "m", `{"a":1}`},
		{"null within a value is not there", []layer{{"l", 20, on(`"properties.desired.cameras":{"x":null,"y":{"z":null}}`)}}, "m", `{"a":1,"cameras":{"y":{}}}`},
		{"null of what is not there", []layer{{"l", 20, on(`"properties.desired.x.y":null`)}}, "m", module},
		{
			"a path through what is no object",
			[]layer{{"l", 20, on(`"properties.desired.a.b":2`)}},
			"m", `{"a":{"b":2},"cameras":{"front":{"host":"10.0.0.1","port":554}}}`,
		},
		{
			"shorter paths of one layer first",
			[]layer{{"l", 20, on(`"properties.desired.cameras.x.y":1,"properties.desired.cameras":{"x":{"z":2}},"properties.desired.cameras.x":{"w":3}`)}},
			"m", `{"a":1,"cameras":{"x":{"w":3,"y":1}}}`,
		},
		{
			"a module of its own",
			[]layer{{"l", 20, `{"$edgeAgent":{"properties.desired.modules.o":{"image":"o:1"}},"o":{"properties.desired.b":[1,{"c":1.50}]}}`}},
			"o", `{"b":[1,{"c":1.50}]}`,
		},
		{
			"a module of the same name is the higher one's",
			[]layer{{"l", 20, `{"$edgeAgent":{"properties.desired.modules.m":{"image":"m:2"}}}`}},
			"$edgeAgent", `{"modules":{"m":{"image":"m:2"},"n":{"image":"n:1"}},"schemaVersion":"1.1"}`,
		},
		{
			"a route",
			[]layer{{"l", 20, `{"$edgeAgent":{},"$edgeHub":{"properties.desired.routes.r":"new"}}`}},
			"$edgeHub", `{"routes":{"r":"new"}}`,
		},
	}
	for _, tt := range tests {
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
		// No layer writes over all that the base says.
		"m": {"base": "Applied", "old-base": "Targeted", "twin-only": "Applied", "overwritten": "Targeted", "above": "Applied"},
	}
	if d := cmp.Diff(want, p.Statuses); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMerge_withoutBase(t *testing.T) {
	if p := merge(t); p.Desired != nil || len(p.Statuses) != 0 {
		t.Errorf("of nothing came %+v", p)
	}
	p := merge(t, layer{"l", 20, `{"$edgeAgent":{"properties.desired.modules.o":{}}}`})
	if p.Desired != nil || p.Statuses["$edgeAgent"]["l"] != deployment.Targeted {
		t.Errorf("of a layer alone came %+v", p)
	}
}

// What one device makes of a content is not another's.
func TestMerge_sharesNothing(t *testing.T) {
	c := parse(t, base)
	list := []deployment.Deployment{{ID: "b", Content: c}}
	first := deployment.Merge(list)
	cameras, _ := first.Desired["m"]["cameras"].(map[string]any)
	clear(cameras)
	if second := deployment.Merge(list); !strings.Contains(marshal(t, second.Desired["m"]), "10.0.0.1") {
		t.Errorf("became %s", marshal(t, second.Desired["m"]))
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
		t.Errorf("of nothing: %v", got)
	}
}

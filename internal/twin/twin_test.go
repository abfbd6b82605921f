package twin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/twin"
)

func parse(t *testing.T, doc string) twin.Twin {
	t.Helper()
	tw, err := twin.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return tw
}

func desired(cameras string) string {
	return `{"desired":{"cameras":` + cameras + `,"$version":7},"reported":{"$version":1}}`
}

var (
	front = twin.Camera{Name: "front", Host: "10.0.0.21", Port: 554, LocalPort: 8554}
	yard  = twin.Camera{Name: "yard", Host: "yard.local", Port: 10554, LocalPort: 10554}
)

func TestCameras(t *testing.T) {
	tw := parse(t, desired(`{
		"yard":  {"host":"yard.local","port":10554,"unknown":{"x":1}},
		"front": {"host":"10.0.0.21","localPort":8554},
		"$metadata": {}}`))
	got, faults := tw.Cameras(nil)
	if d := cmp.Diff([]twin.Camera{front, yard}, got); d != "" || len(faults) != 0 {
		t.Errorf("%s faults %v", d, faults)
	}
}

// A fault costs the camera that has it, and nothing else: the last good one of its
// name stays in force, the others are applied.
func TestCameras_faults(t *testing.T) {
	last := []twin.Camera{front}
	for _, c := range []struct {
		name, cameras, path string
		want                []twin.Camera
	}{
		{"not an object", `["front"]`, "cameras", last},
		{"null inside", `{"front":null}`, "cameras/front", last},
		{"entry not an object", `{"front":5}`, "cameras/front", last},
		{"no host", `{"front":{"port":1}}`, "cameras/front/host", last},
		{"empty host", `{"front":{"host":""}}`, "cameras/front/host", last},
		{"host null", `{"front":{"host":null}}`, "cameras/front/host", last},
		{"host number", `{"front":{"host":7}}`, "cameras/front/host", last},
		{"host with a path", `{"front":{"host":"h/x"}}`, "cameras/front/host", last},
		{"host with a login", `{"front":{"host":"u:p@h"}}`, "cameras/front/host", last},
		{"port zero", `{"front":{"host":"h","port":0}}`, "cameras/front/port", last},
		{"port string", `{"front":{"host":"h","port":"554"}}`, "cameras/front/port", last},
		{"port null", `{"front":{"host":"h","port":null}}`, "cameras/front/port", last},
		{"port fraction", `{"front":{"host":"h","port":554.5}}`, "cameras/front/port", last},
		{"local port too large", `{"front":{"host":"h","localPort":65536}}`, "cameras/front/localPort", last},
		{"bad name", `{"a.b":{"host":"h"}}`, "cameras", nil},
		{
			"the others go on", `{"front":{"host":7},"yard":{"host":"yard.local","port":10554}}`,
			"cameras/front/host",
			[]twin.Camera{front, yard},
		},
		{
			"local port twice: the later name", `{"a":{"host":"h"},"b":{"host":"h"}}`, "cameras/b/localPort",
			[]twin.Camera{{Name: "a", Host: "h", Port: 554, LocalPort: 554}},
		},
		{
			"only local ports collide", `{"a":{"host":"h","port":7,"localPort":1},"b":{"host":"h","port":1,"localPort":7},"c":{"host":"h","localPort":7}}`,
			"cameras/c/localPort",
			[]twin.Camera{{Name: "a", Host: "h", Port: 7, LocalPort: 1}, {Name: "b", Host: "h", Port: 1, LocalPort: 7}},
		},
		{"name too long", `{"` + strings.Repeat("n", 65) + `":{"host":"h"}}`, "cameras", nil},
		{
			"the last good one's local port is taken now", `{"a":{"host":"h","port":8554},"front":{"host":7}}`,
			"cameras/front/host",
			[]twin.Camera{{Name: "a", Host: "h", Port: 8554, LocalPort: 8554}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, faults := parse(t, desired(c.cameras)).Cameras(last)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if len(faults) != 1 || faults[0].Path != c.path {
				t.Errorf("faults %v, want one at %s", faults, c.path)
			}
		})
	}
}

func TestCameras_removed(t *testing.T) {
	for name, doc := range map[string]string{
		"empty map":  desired(`{}`),
		"no section": `{"desired":{"$version":2}}`,
	} {
		if got, faults := parse(t, doc).Cameras([]twin.Camera{front}); len(got) != 0 || len(faults) != 0 {
			t.Errorf("%s: %v, %v", name, got, faults)
		}
	}
}

func TestParse_notATwin(t *testing.T) {
	for _, doc := range []string{``, `null`, `[]`, `{}`, `{"desired":null}`, `{"desired":{}}`, `{"desired":{"$version":"1"}}`, `{"desired":[]}`} {
		if _, err := twin.Parse([]byte(doc)); err == nil {
			t.Errorf("%q is taken for a twin", doc)
		}
	}
}

func TestReport(t *testing.T) {
	tw := parse(t, `{"desired":{"cameras":{},"$version":9},"reported":{"cameras":{"value":{"gone":{"host":"h"}},"ac":200},"$version":4}}`)
	for name, c := range map[string]struct {
		state  twin.State
		faults []twin.Fault
		want   string
	}{
		"good": {twin.State{Hub: twin.Hub{Protocol: "mqttws"}}, nil, `{"state":"healthy","reasons":[],"hub":{"protocol":"mqttws"},"cameras":{"ac":200,"ad":"cameras in force: 1","av":9,"value":{
			"front":{"host":"10.0.0.21","localPort":8554,"port":554},"gone":null}}}`},
		"bad": {
			twin.State{Reasons: []string{"CFG_ENV"}, Hub: twin.Hub{Protocol: "mqtt"}},
			[]twin.Fault{{Path: "cameras/x/port", Text: "must be an integer from 1 to 65535"}},
			`{"state":"degraded","reasons":["CFG_ENV"],"hub":{"protocol":"mqtt"},"cameras":{"ac":400,"ad":"cameras/x/port: must be an integer from 1 to 65535","av":9,"value":{
			"front":{"host":"10.0.0.21","localPort":8554,"port":554},"gone":null}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got, want any
			if err := json.Unmarshal(tw.Report(c.state, []twin.Camera{front}, c.faults), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReport_staysSmall(t *testing.T) {
	faults := make([]twin.Fault, 5000)
	for i := range faults {
		faults[i] = twin.Fault{Path: "cameras/" + strings.Repeat("x", 64) + "/host", Text: strings.Repeat("y", 200)}
	}
	if n := len(parse(t, desired(`{}`)).Report(twin.State{}, nil, faults)); n > 2048 {
		t.Errorf("the acknowledgement has %d bytes", n)
	}
	few := []twin.Fault{{"a", "x"}, {"b", "x"}, {"c", "x"}, {"d", "x"}, {"e", "x"}, {"f", "x"}, {"g", "x"}, {"h", "x"}, {"i", "x"}, {"j", "x"}}
	if got := string(parse(t, desired(`{}`)).Report(twin.State{}, nil, few)); !strings.Contains(got, "h: x; and 2 more") {
		t.Errorf("the acknowledgement is %s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(desired(`{"front":{"host":"h","port":1,"localPort":2}}`)))
	f.Add([]byte(desired(`{"front":null,"a.b":[],"c":{"host":"x@y"}}`)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		tw, err := twin.Parse(doc)
		if err != nil {
			return
		}
		cameras, faults := tw.Cameras([]twin.Camera{front})
		ports := map[int]bool{}
		for _, c := range cameras {
			if c.Host == "" || c.Port < 1 || c.Port > 65535 || ports[c.LocalPort] {
				t.Fatalf("in force: %+v", cameras)
			}
			ports[c.LocalPort] = true
		}
		if !json.Valid(tw.Report(twin.State{}, cameras, faults)) {
			t.Fatal("the acknowledgement is not JSON")
		}
	})
}

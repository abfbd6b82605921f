package twin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

func TestApply_strings(t *testing.T) {
	got, out := parse(t, desired(`"cameras":{"a":{"host":"h","port":"1554","enabled":"True"}},"tunnels":{"max":"0012","enabled":"true"}`)).Apply(nil)
	if got.Cameras[0].Port != 1554 || got.Tunnels.Max != 12 || len(out.Faults) > 0 {
		t.Errorf("%+v, %v", got, out.Faults)
	}
	var paths []string
	for _, w := range out.Warnings {
		paths = append(paths, w.Path)
	}
	if d := cmp.Diff([]string{"cameras/a/enabled", "cameras/a/port", "tunnels/enabled", "tunnels/max"}, paths); d != "" {
		t.Error(d)
	}
	got, out = parse(t, cameras(`{"a":{"host":"h","port":5.54e2,"localPort":1.0}}`)).Apply(nil)
	if len(out.Faults)+len(out.Warnings) > 0 || got.Cameras[0].Port != 554 || got.Cameras[0].LocalPort != 1 {
		t.Errorf("integers in other notations: %+v %+v", got.Cameras, out)
	}
}

func TestApply_unknownKeys(t *testing.T) {
	long := strings.Repeat("k", 200)
	_, out := parse(t, desired(`"Cameras":{"x":"canary"},"__proto__":{"y":"canary"},"tunnels":{"turbo":"canary"},
		"cameras":{"__proto__":{"host":"h","constructor":"canary","$x":"canary"}},"`+long+`":1,"é\u202e":{"deep":[[[[[[[[[[[[["canary"]]]]]]]]]]]]]}`)).Apply(nil)
	want := []string{"cameras/__proto__/constructor", "tunnels/turbo", "Cameras", "__proto__", long[:64] + "...", `\u00e9\u202e`}
	if d := cmp.Diff(want, out.UnknownKeys); d != "" || len(out.Faults) > 0 {
		t.Errorf("%s %v", d, out.Faults)
	}
	var many []string
	for i := range 2000 {
		many = append(many, fmt.Sprintf(`"k%d":1`, i))
	}
	if _, out := parse(t, desired(strings.Join(many, ","))).Apply(nil); len(out.UnknownKeys) != 64 {
		t.Errorf("%d unknown keys are listed", len(out.UnknownKeys))
	}
}

// Hostile documents change nothing: the previous configuration stays in force.
func TestApply_hostile(t *testing.T) {
	var many []string
	for i := range 10000 {
		many = append(many, fmt.Sprintf(`"c%d":{"host":"h","port":%d}`, i, i+1))
	}
	for name, doc := range map[string]string{
		"32 KiB":             desired(`"x":"` + strings.Repeat("x", 33000) + `"`),
		"10000 cameras":      cameras(`{` + strings.Join(many, ",") + `}`),
		"100000 empty lists": desired(`"x":[` + strings.Repeat(`[],`, 100000) + `[]]`),
	} {
		got, out := parse(t, doc).Apply(lastGood())
		if d := cmp.Diff(*lastGood(), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if len(out.Faults) != 1 || out.Faults[0].Code != reason.ConfigSize || out.Faults[0].Path != "desired" {
			t.Errorf("%s: %+v", name, out.Faults)
		}
	}
}

func TestParse_notATwin(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing": ``, "null": `null`, "list": `[]`, "no sections": `{}`, "null section": `{"desired":null}`, "no version": `{"desired":{}}`,
		"text version": `{"desired":{"$version":"1"}}`, "negative version": `{"desired":{"$version":-1}}`, "list section": `{"desired":[]}`,
		"upper case": `{"Desired":{"$version":1}}`, "NaN": desired(`"x":NaN`), "cut": `{"desired":{"$version":1}`,
		"too deep": desired(`"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000)), "5 MiB": desired(`"x":"` + strings.Repeat("x", 5<<20) + `"`),
	} {
		if _, err := twin.Parse([]byte(doc)); err == nil {
			t.Errorf("%s is parsed as a twin", name)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(cameras(`{"front":{"host":"h","port":1,"localPort":2}}`)))
	f.Add([]byte(cameras(`{"front":null,"a.b":[],"c":{"host":"x@y"}}`)))
	f.Add([]byte(desired(`"tunnels":{"enabled":"false","max":0},"remoteEndpoints":{"a":"*.example.com:8443"},"proxy":{"url":"http://u:p@h"}`)))
	f.Add([]byte(desired(`"a":{"a":1,"a":2},"x":1e999,"y":"\ud800","__proto__":[[[[[[[[[[[[]]]]]]]]]]]]`)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		tw, err := twin.Parse(doc)
		if err != nil {
			return
		}
		for _, last := range []*twin.Settings{nil, lastGood()} {
			got, out := tw.Apply(last)
			invariants(t, got)
			again, _ := tw.Apply(&got)
			if d := cmp.Diff(got, again, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("applying the twin again changes the configuration: %s", d)
			}
			if len(out.UnknownKeys) > 64 || len(out.Sections) > 7 {
				t.Fatalf("not bounded: %+v", out)
			}
		}
	})
}

// invariants checks what holds for every configuration in force.
func invariants(t *testing.T, s twin.Settings) {
	t.Helper()
	ports := map[int]bool{}
	for _, c := range s.Cameras {
		if c.Host == "" || c.Port < 1 || c.Port > 65535 || c.LocalPort < 1 || c.LocalPort > 65535 || ports[c.LocalPort] || c.MaxTunnels < 1 {
			t.Fatalf("in force: %+v", s.Cameras)
		}
		ports[c.LocalPort] = true
	}
	if u := s.Tunnels; len(s.Cameras) > 512 || u.Max < 1 || u.OpenTimeout < u.CameraTimeout+u.RemoteTimeout || u.OpenTimeout > 25*time.Second || u.Ping < 5*time.Second {
		t.Fatalf("in force: %+v", u)
	}
	if strings.Contains(s.Proxy.URL, "@") || s.Remotes.Any && len(s.Remotes.Patterns) > 0 || s.Log.Level == "" {
		t.Fatalf("in force: %+v", s)
	}
}

package twin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/twin"
)

// Check reads the same camera in every shape in which operators have desired
// properties.
func TestCheck_shapes(t *testing.T) {
	const section = `{"cameras":{"front":{"host":"10.0.0.21","localPort":8554}}}`
	for name, doc := range map[string]string{
		"whole twin":            `{"desired":` + section + `,"reported":{"cameras":7}}`,
		"whole twin, versioned": cameras(`{"front":{"host":"10.0.0.21","localPort":8554}}`),
		"from the hub's tools":  `{"deviceId":"d","properties":{"desired":` + section + `,"reported":{}}}`,
		"desired section":       section,
		"deployment":            `{"properties.desired":` + section + `,"settings":{}}`,
		"byte order mark":       "\ufeff" + section,
		"layer":                 `{"properties.desired.cameras.front":{"host":"10.0.0.21","localPort":8554}}`,
		"layer of leaves":       `{"properties.desired.cameras.front.localPort":8554,"properties.desired.cameras.front.host":"10.0.0.21"}`,
		"layer over the whole":  `{"properties.desired.cameras.gone":null,"properties.desired":{"cameras":{"front":{"host":"10.0.0.21","localPort":8554},"gone":{"host":"x"}}}}`,
	} {
		got, out, err := twin.Check([]byte(doc))
		if err != nil || len(out.Faults)+len(out.Warnings)+len(out.UnknownKeys) > 0 {
			t.Errorf("%s: %v %+v", name, err, out)
		}
		if d := cmp.Diff([]camera.Camera{front}, got.Cameras); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestCheck_unknownShapes(t *testing.T) {
	for doc, want := range map[string]string{
		``: "is missing", `7`: "is not an object", `{"a":`: "is not JSON, at byte 5", `{"desired":[]}`: "is not an object",
		`{"modulesContent":{}}`: "whole deployment", `{"content":{"modulesContent":{}}}`: "whole deployment",
		`{"$edgeHub":{"properties.desired":{}}}`: "whole deployment", `{"rtsptunnel":{"properties.desired.tunnels.max":0}}`: "whole deployment",
		"\xff\xfe{\x00}\x00": "UTF-16", "\xfe\xff\x00{\x00}": "UTF-16", `{"x":"` + strings.Repeat("x", 4<<20) + `"}`: "has more than 4194304 bytes",
		`{"properties.desired":[]}`: "properties.desired is not an object", `{"properties.desired":{"log":7},"properties.desired.log.level":"info"}`: "properties.desired.log.level is not",
		`{"desired":{"$version":"x"}}`: "$version",
	} {
		if _, _, err := twin.Check([]byte(doc)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %s", doc, err, want)
		}
	}
}

// Another layer may set a property that is required in a whole section.
func TestCheck_layer(t *testing.T) {
	_, out, err := twin.Check([]byte(`{"properties.desired.cameras.front.port":"x","properties.desired.cameras.yard.port":8}`))
	if err != nil || len(out.Faults) != 1 || out.Faults[0].Path != "cameras/front/port" {
		t.Errorf("%v %+v", err, out)
	}
	if d := cmp.Diff([]string{"cameras/front/host", "cameras/yard/host"}, []string{out.Warnings[0].Path, out.Warnings[1].Path}); d != "" {
		t.Error(d)
	}
	if _, out, _ := twin.Check([]byte(`{"properties.desired":{"cameras":{"front":{}}}}`)); len(out.Faults) != 1 {
		t.Errorf("a whole section: %+v", out)
	}
	for doc, faults := range map[string]int{
		`{"properties.desired.tunnels.cameraTimeoutSeconds":11}`:                                                    0,
		`{"properties.desired.tunnels.cameraTimeoutSeconds":11,"properties.desired.tunnels.openTimeoutSeconds":20}`: 1,
		`{"properties.desired.tunnels.openTimeoutSeconds":26}`:                                                      1,
		`{"properties.desired":{"tunnels":{"cameraTimeoutSeconds":11}}}`:                                            1,
	} {
		if _, out, err := twin.Check([]byte(doc)); err != nil || len(out.Faults) != faults || len(out.Faults)+len(out.Warnings) != 1 {
			t.Errorf("%s: %v %+v", doc, err, out)
		}
	}
	parts := make([]string, 40)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"properties.desired.x.k%d":%q`, i, strings.Repeat("x", 1000))
	}
	if _, out, _ := twin.Check([]byte(`{` + strings.Join(parts, ",") + `}`)); len(out.Faults) != 1 || out.Faults[0].Path != "desired" {
		t.Errorf("40 KB in parts: %+v", out.Faults)
	}
}

func TestExplain(t *testing.T) {
	s, out, err := twin.Check([]byte(`{"cameras":{"a":{"host":"h","port":"8554"},"b":{"host":"h","port":0}},"remoteEndpoints":{"x":"*.example.com"},
		"tunnels":{"enabled":false,"max":0},"health":{"enabled":true},"proxy":{"noProxy":".local","url":"http://p:99999"},"log":{"level":"debug"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range twin.Explain(s, out) {
		if r.Origin == "twin" || strings.HasPrefix(r.Path, "cameras/") {
			got = append(got, fmt.Sprint(r.Path, "=", r.Value, " ", r.Origin))
		}
	}
	want := []string{
		"cameras/a/host=h twin", "cameras/a/port=8554 twin", "cameras/a/localPort=8554 default", "cameras/a/maxTunnels=4 default",
		"cameras/a/enabled=true default", "cameras/a/maxBitsPerSecond=0 default", "cameras/a/expectedOffline=false default",
		"remoteEndpoints/x=*.example.com twin", "tunnels/enabled=false twin", "health/enabled=true twin", "log/level=debug twin",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for doc, want := range map[string]string{`{}`: "any", `{"remoteEndpoints":{}}`: "none"} {
		s, out, _ := twin.Check([]byte(doc))
		if rows := twin.Explain(s, out); rows[0].Path != "remoteEndpoints" || rows[0].Value != want || len(rows) != 19 {
			t.Errorf("%s: %d rows, %+v", doc, len(rows), rows[0])
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"properties.desired":{"cameras":{"a":{"host":"h"}}},"properties.desired.cameras.a.port":7}`))
	f.Add([]byte(`{"properties":{"desired":{"cameras":{"a":{"host":"h"}}}}}`))
	f.Add([]byte(`{"properties.desired.":null,"properties.desired..$x":[{}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, out, err := twin.Check(doc)
		if err != nil {
			return
		}
		invariants(t, s)
		if len(twin.Explain(s, out)) < 19 {
			t.Fatalf("Explain leaves out parts of %+v", s)
		}
	})
}

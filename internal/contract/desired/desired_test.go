package desired_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/desired"
)

func TestCameras(t *testing.T) {
	got, rejected, err := desired.Cameras([]byte(`{
		"$metadata": {"cameras": 7}, "$version": 9, "tunnels": 7,
		"cameras": {
			"yard": {"host": "yard.local", "port": "1554", "enabled": "False", "streams": null, "unknown": {}},
			"gate": null,
			"front": {"host": "10.0.0.21", "port": 1554, "localPort": 8554, "maxTunnels": 2, "maxBitsPerSecond": 1e6, "expectedOffline": true, "streams": {
				"main": {"path": "/cam/realmonitor?channel=1&subtype=0", "codec": "H264", "width": "1920", "height": 1080, "bitsPerSecond": 4000000},
				"sub": {"path": "/sub"}, "old": null}},
			"side": {"host": "10.0.0.22", "port": 0},
			"zoom": {"host": "10.0.0.23", "localPort": 8554}
		}}`))
	want := []desired.Camera{{
		Name: "front", Host: "10.0.0.21", Port: 1554, LocalPort: 8554, MaxTunnels: 2, Enabled: true, MaxBitsPerSecond: 1_000_000, ExpectedOffline: true,
		Streams: map[string]desired.Stream{
			"main": {Path: "/cam/realmonitor?channel=1&subtype=0", Codec: "H264", Width: 1920, Height: 1080, BitsPerSecond: 4_000_000},
			"sub":  {Path: "/sub"},
		},
	}, {Name: "yard", Host: "yard.local", Port: 1554, LocalPort: 1554, MaxTunnels: 4}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%s %v", d, err)
	}
	texts := map[string]string{}
	for name, fault := range rejected {
		texts[name] = fault.String()
	}
	if d := cmp.Diff(map[string]string{
		"side": "cameras/side/port: must be an integer from 1 to 65535",
		"zoom": "cameras/zoom/localPort: 8554 is already the local port of camera front",
	}, texts); d != "" {
		t.Error(d)
	}
}

func TestCameras_none(t *testing.T) {
	for _, properties := range []string{`{}`, `{"cameras":null}`, `{"cameras":{}}`, `{"$version":1,"Cameras":{"a":{"host":"h"}}}`} {
		if got, rejected, err := desired.Cameras([]byte(properties)); len(got)+len(rejected) > 0 || err != nil {
			t.Errorf("%s: %v %v %v", properties, got, rejected, err)
		}
	}
}

// Where the module rejects all cameras, there is an error and none.
func TestCameras_unreadable(t *testing.T) {
	for _, properties := range []string{
		``, `null`, `[]`, `{"cameras":[]}`, `{"cameras":"x"}`, `{"cameras":{},"cameras":{}}`, `{`, `{"cameras":{"a":{"host":"h"}},"x":"` + strings.Repeat("x", 33_000) + `"}`,
		strings.Repeat(`{"cameras":`, 20_000) + strings.Repeat("}", 20_000), `{"cameras":{"a":` + strings.Repeat("[", 11) + strings.Repeat("]", 11) + `,"a":1},"cameras":1}`,
	} {
		got, rejected, err := desired.Cameras([]byte(properties))
		if err == nil || len(got)+len(rejected) > 0 {
			t.Errorf("%.50s: %v %v", properties, got, rejected)
		}
	}
}

// The patterns are those of the twin's schema.
func TestPatterns(t *testing.T) {
	text, err := os.ReadFile("../../../modules/rtsptunnel/twin.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Parts map[string]struct {
			Properties map[string]struct{ Pattern, PatternErrorMessage string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	camera, stream := schema.Parts["camera"].Properties, schema.Parts["stream"].Properties
	for _, pair := range [][2]string{
		{camera["host"].Pattern, desired.HostPattern},
		{stream["path"].Pattern, desired.PathPattern},
		{stream["codec"].Pattern, desired.CodecPattern},
		{camera["host"].PatternErrorMessage, desired.HostText},
		{stream["path"].PatternErrorMessage, desired.PathText},
		{stream["codec"].PatternErrorMessage, desired.CodecText},
	} {
		if pair[0] != pair[1] {
			t.Errorf("schema: %s\nhere:   %s", pair[0], pair[1])
		}
	}
}

// Any desired properties give cameras that can be used, or a reason.
func FuzzCameras(f *testing.F) {
	f.Add([]byte(`{"cameras":{"front":{"host":"h","port":"1","streams":{"main":{"path":"/a?b=c"}}}}}`))
	f.Add([]byte(`{"cameras":{"a":{"host":"h","host":1},"b":[]}}`))
	f.Fuzz(func(t *testing.T, properties []byte) {
		cameras, rejected, err := desired.Cameras(properties)
		if err != nil && len(cameras)+len(rejected) > 0 {
			t.Fatal("cameras and an error")
		}
		ports := map[int]bool{}
		for _, c := range cameras {
			if !desired.IsName(c.Name) || rejected[c.Name] != (desired.Fault{}) || c.Host == "" || c.LocalPort < 1 || c.LocalPort > 65535 || ports[c.LocalPort] || len(c.Streams) > desired.MaxStreams {
				t.Fatalf("%+v", c)
			}
			ports[c.LocalPort] = true
			for name, s := range c.Streams {
				if !desired.IsName(name) || desired.CheckPath(s.Path) != "" {
					t.Fatalf("%s: %+v", name, s)
				}
			}
		}
		for name, fault := range rejected {
			if fault.Text == "" || fault.Code == "" || len(fault.Path) > 400 {
				t.Fatalf("%q: %+v", name, fault)
			}
		}
	})
}

package twin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	contract "rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/twin"
)

// A gateway reads the cameras that are in force in a module without an earlier
// configuration, and rejects those that the module rejects, for a fault that the module
// reports, too.
func TestCameras_sameAtBothEnds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inForce, rejected := 0, 0
	for range 1_000 {
		got := sameAtBothEnds(t, randomProperties(random))
		inForce, rejected = inForce+got.inForce, rejected+got.rejected
		if t.Failed() {
			return
		}
	}
	if inForce < 100 || rejected < 100 {
		t.Errorf("%d cameras in force, %d rejected: the twins are one-sided", inForce, rejected)
	}
}

func FuzzCameras(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		f.Add([]byte(randomProperties(random)))
	}
	f.Fuzz(func(t *testing.T, properties []byte) { sameAtBothEnds(t, string(properties)) })
}

type counts struct{ inForce, rejected int }

func sameAtBothEnds(t *testing.T, properties string) counts {
	t.Helper()
	inForce, rejected, err := contract.Cameras([]byte(properties))
	settings, out, checkErr := twin.Check([]byte(`{"desired":` + properties + `}`))
	if checkErr != nil {
		if err == nil && len(inForce) > 0 {
			t.Fatalf("%s: the module cannot read it: %v", properties, checkErr)
		}
		return counts{}
	}
	var got []camera.Camera
	for _, c := range inForce {
		got = append(got, camera.Camera{
			Name: c.Name, Host: c.Host, Port: c.Port, LocalPort: c.LocalPort, Enabled: c.Enabled, MaxTunnels: c.MaxTunnels,
			MaxBitsPerSecond: c.MaxBitsPerSecond, ExpectedOffline: c.ExpectedOffline, Streams: slices.Sorted(maps.Keys(c.Streams)),
		})
	}
	if d := cmp.Diff(settings.Cameras, got); d != "" {
		t.Fatalf("%s\nmodule (-), gateway (+): %s", properties, d)
	}
	faults := map[string]bool{}
	names := map[string]bool{}
	for _, f := range out.In("cameras") {
		faults[f.Path] = true
		if parts := strings.Split(f.Path, "/"); len(parts) > 1 {
			names[parts[1]] = true
		}
	}
	if err != nil && len(faults) == 0 || err == nil && len(names) != len(rejected) {
		t.Fatalf("%s\nmodule: %v\ngateway: %v %v", properties, out.Faults, rejected, err)
	}
	for name, fault := range rejected {
		if contract.IsName(name) && !faults[fault.Path] {
			t.Fatalf("%s\nmodule: %v\ngateway: %v", properties, out.Faults, fault)
		}
	}
	return counts{len(inForce), len(rejected)}
}

// randomProperties returns desired properties with a few cameras, of which some have
// faults.
func randomProperties(random *rand.Rand) string {
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	number := func() string {
		return pick("0", "1", "554", "8554", `"8554"`, "65535", "65536", "5.54e2", "1.5", "-1", `"-1"`, `"x"`, "true", "null", "1e999", "[]", `"000554"`, `"1e3"`)
	}
	boolean := func() string { return pick("true", "false", `"True"`, `"FALSE"`, `"tRUE"`, `"1"`, "1", "null", "{}") }
	members := func(chance float64, values map[string]func() string) string {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if random.Float64() < chance {
				list = append(list, fmt.Sprintf("%q:%s", name, values[name]()))
			}
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	stream := func() string {
		return pick(members(0.8, map[string]func() string{
			"path": func() string {
				return pick(`"/"`, `"/a"`, `"/cam/realmonitor?channel=1&subtype=0"`, `"/%2f"`, `"/%2"`, `"//h/x"`, `"x"`, `""`, "null", "7", `"/u:p@h/x"`, `"/?pwd=1"`, `"/a b"`)
			},
			"codec": func() string { return pick(`"H264"`, `"H.265"`, `""`, `"a b"`, "1", "null") },
			"width": number, "x": number,
		}), `{"path":"/b"}`, "null", "[]", `"/b"`)
	}
	entry := func() string {
		return pick(members(0.3, map[string]func() string{
			"host":    func() string { return pick(`"h"`, `"::1"`, `""`, `"u:p@h"`, "null", "1") },
			"enabled": boolean, "expectedOffline": boolean, "port": number, "localPort": number, "maxTunnels": number, "maxBitsPerSecond": number,
			"streams": func() string {
				return pick("{}", "[]", "null", members(0.5, map[string]func() string{"main": stream, "sub": stream, "a b": stream}))
			},
		}), fmt.Sprintf(`{"host":"h","port":%s,"localPort":%d}`, number(), 1+random.IntN(4)),
			fmt.Sprintf(`{"host":"h","localPort":%d,"streams":%s}`, 1+random.IntN(4), members(0.5, map[string]func() string{"main": stream, "sub": stream, "$x": stream})),
			`{"host":"h","streams":{"a":{"path":"/"},"b":{"path":"/"},"c":{"path":"/"},"d":{"path":"/"},"e":{"path":"/"},"f":{"path":"/"},"g":{"path":"/"},"h":{"path":"/"}`+pick("", `,"i":{"path":"/"}`)+`}}`,
			"null", "[]", `{"host":"a","host":"b"}`)
	}
	section := members(0.5, map[string]func() string{"front": entry, "yard": entry, "gate": entry, "a.b": entry, "$x": entry, "": entry})
	return `{"cameras":` + pick(section, section, section, section, section, section, section, section, `"x"`, "null") +
		pick("", `,"$version":7`, `,"cameras":{}`, `,"x":1`, `,"x":"`+strings.Repeat("x", 33_000)+`"`) + `}`
}

// Most cameras' real paths are accepted, and those with a login are refused with the reason.
func TestApply_streamPaths(t *testing.T) {
	for _, path := range []string{
		"/", "/live.sdp", "/Streaming/Channels/101?transportmode=unicast&profile=Profile_1", "/cam/realmonitor?channel=1&subtype=0",
		"/axis-media/media.amp?videocodec=h264&resolution=1920x1080&fps=25", "/h264Preview_01_main", "/?inst=1&rec=0", "/profile2/media.smp",
		"/user=admin&password=&channel=1&stream=0.sdp?", "/user=admin_password=_channel=1_stream=0.sdp?real_stream", "/live/ch00_0@main", "/video[1]:2",
		"/a%20b", "/onvif/profile1/media.smp;v=2", "/bypass=1", "/" + strings.Repeat("x", 511),
	} {
		if text := streamFault(t, path); text != "" {
			t.Errorf("%s: %s", path, text)
		}
	}
	for path, want := range map[string]string{
		"": "must be the path", "live": "must be the path", "//u:p@h/live": "must be the path", "rtsp://u:p@h/live": "must be the path", "/a b": "must be the path",
		"/a#b": "must be the path", "/a\nb": "must be the path", "/%zz": "must be the path", "/é": "must be the path", "/" + strings.Repeat("x", 512): "must be the path",
		"/admin:canary@10.0.0.9/live": "must not contain a login", "/user=admin&password=canary&channel=1": "must not contain a login",
		"/user=admin_password=canary_channel=1": "must not contain a login", "/live?PWD=canary": "must not contain a login", "/live?usr=a&pass=canary": "must not contain a login",
	} {
		if text := streamFault(t, path); !strings.Contains(text, want) || strings.Contains(text, "canary") {
			t.Errorf("%s: %q, want %s", path, text, want)
		}
	}
}

// streamFault returns the fault of a camera whose stream main has the path, if any.
func streamFault(t *testing.T, path string) string {
	t.Helper()
	text, err := json.Marshal(path)
	if err != nil {
		t.Fatal(err)
	}
	got, out := parse(t, cameras(`{"front":{"host":"h","streams":{"main":{"path":`+string(text)+`}}}}`)).Apply(nil)
	if len(out.Faults) == 0 {
		if len(got.Cameras) != 1 || !slices.Equal(got.Cameras[0].Streams, []string{"main"}) {
			t.Errorf("%s: %+v", path, got.Cameras)
		}
		return ""
	}
	if len(out.Faults) != 1 || out.Faults[0].Path != "cameras/front/streams/main/path" || out.Faults[0].Code != "CFG_FORMAT" {
		t.Errorf("%s: %+v", path, out.Faults)
	}
	return out.Faults[0].Text
}

// Streams are acknowledged by their names, numbers in them may be texts, and unknown keys in
// them are reported.
func TestApply_streams(t *testing.T) {
	got, out := parse(t, cameras(`{"front":{"host":"h","streams":{"sub":{"path":"/s","width":"640","turbo":1},"main":{"path":"/m"},"gone":null}}}`)).Apply(nil)
	if len(out.Faults) > 0 || len(out.Warnings) != 1 || out.Warnings[0].Path != "cameras/front/streams/sub/width" {
		t.Errorf("%+v", out)
	}
	if d := cmp.Diff([]string{"cameras/front/streams/sub/turbo"}, out.UnknownKeys); d != "" {
		t.Error(d)
	}
	want := map[string]any{"front": map[string]any{"host": "h", "localPort": int64(554), "streams": []string{"main", "sub"}}}
	if d := cmp.Diff(want, got.Section("cameras", true)); d != "" {
		t.Error(d)
	}
	_, out = parse(t, cameras(`{"front":{"host":"h","streams":{"a.b":{"path":"/"},"x":{},"y":{"path":"/","width":0,"height":"x"}}}}`)).Apply(nil)
	var faults []string
	for _, f := range out.Faults {
		faults = append(faults, f.String())
	}
	if d := cmp.Diff([]string{
		"cameras/front/streams/a.b: a stream's name has 1 to 64 letters, digits, '_' or '-'",
		"cameras/front/streams/x/path: is missing: must be the path of an RTSP URL with its query, from / on, of at most 512 characters, without scheme, host and login",
		"cameras/front/streams/y/height: must be an integer from 1 to 65535",
		"cameras/front/streams/y/width: must be an integer from 1 to 65535",
	}, faults); d != "" {
		t.Error(d)
	}
}

package twin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/twin"
)

// unchanged are the cameras before each case of cameraFaults, and after most of them.
var unchanged = []camera.Camera{front}

var cameraFaults = []struct {
	name, cameras, path string
	code                reason.Code
	want                []camera.Camera
}{
	{"not an object", `["front"]`, "cameras", reason.ConfigType, unchanged},
	{"entry not an object", `{"front":5}`, "cameras/front", reason.ConfigType, unchanged},
	{"no host", `{"front":{"port":1}}`, "cameras/front/host", reason.ConfigMissing, unchanged},
	{"empty host", `{"front":{"host":""}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"host null", `{"front":{"host":null}}`, "cameras/front/host", reason.ConfigMissing, unchanged},
	{"host number", `{"front":{"host":7}}`, "cameras/front/host", reason.ConfigType, unchanged},
	{"host with a path", `{"front":{"host":"h/x"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"host with a login", `{"front":{"host":"u:p@h"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"host with a port", `{"front":{"host":"10.0.0.21:554"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"login alone", `{"front":{"host":"admin:canary"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"address in brackets", `{"front":{"host":"[2001:db8::1]"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"zone without an address", `{"front":{"host":"h%eth0"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"host with a line end", `{"front":{"host":"h\n"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"lone surrogate", `{"front":{"host":"\ud800"}}`, "cameras/front/host", reason.ConfigFormat, unchanged},
	{"port zero", `{"front":{"host":"h","port":0}}`, "cameras/front/port", reason.ConfigRange, unchanged},
	{"port zero as a string", `{"front":{"host":"h","port":"0"}}`, "cameras/front/port", reason.ConfigRange, unchanged},
	{"port in words", `{"front":{"host":"h","port":"rtsp"}}`, "cameras/front/port", reason.ConfigType, unchanged},
	{"port fraction", `{"front":{"host":"h","port":554.5}}`, "cameras/front/port", reason.ConfigType, unchanged},
	{"port without end", `{"front":{"host":"h","port":1e999}}`, "cameras/front/port", reason.ConfigRange, unchanged},
	{"port beyond integers", `{"front":{"host":"h","port":99999999999999999999}}`, "cameras/front/port", reason.ConfigRange, unchanged},
	{"local port too large", `{"front":{"host":"h","localPort":65536}}`, "cameras/front/localPort", reason.ConfigRange, unchanged},
	{"no tunnels", `{"front":{"host":"h","maxTunnels":0}}`, "cameras/front/maxTunnels", reason.ConfigRange, unchanged},
	{"enabled in words", `{"front":{"host":"h","enabled":"yes"}}`, "cameras/front/enabled", reason.ConfigType, unchanged},
	{"enabled as a number", `{"front":{"host":"h","enabled":1}}`, "cameras/front/enabled", reason.ConfigType, unchanged},
	{"property twice", `{"front":{"host":"a","host":"b"}}`, "cameras/front/host", reason.ConfigDuplicate, unchanged},
	{"camera twice", `{"front":{"host":"a"},"front":{"host":"b"}}`, "cameras/front", reason.ConfigDuplicate, unchanged},
	{"too deep", `{"front":{"host":[[[[[[[[[[[1]]]]]]]]]]]}}`, "cameras/front/host", reason.ConfigType, unchanged},
	{"bad name", `{"a.b":{"host":"h"}}`, "cameras/a.b", reason.ConfigFormat, nil},
	{"name too long", `{"` + strings.Repeat("n", 65) + `":{"host":"h"}}`, "cameras/" + strings.Repeat("n", 64) + "...", reason.ConfigFormat, nil},
	{"name not printable", `{"\ud800\u202e\n":{"host":"h"}}`, `cameras/\ufffd\u202e\n`, reason.ConfigFormat, nil},
	{
		"the others are applied", `{"front":{"host":7},"yard":{"host":"yard.local","port":10554}}`, "cameras/front/host", reason.ConfigType,
		[]camera.Camera{front, yard},
	},
	{
		"local port twice: the later name", `{"a":{"host":"h"},"b":{"host":"h"}}`, "cameras/b/localPort", reason.ConfigDuplicate,
		[]camera.Camera{newCamera("a", "h", 554, 554)},
	},
	{
		"only local ports collide", `{"a":{"host":"h","port":7,"localPort":1},"b":{"host":"h","port":1,"localPort":7},"c":{"host":"h","localPort":7}}`,
		"cameras/c/localPort", reason.ConfigDuplicate,
		[]camera.Camera{newCamera("a", "h", 7, 1), newCamera("b", "h", 1, 7)},
	},
	{
		"the last good one's local port is taken now", `{"a":{"host":"h","port":8554},"front":{"host":7}}`, "cameras/front/host", reason.ConfigType,
		[]camera.Camera{newCamera("a", "h", 8554, 8554)},
	},
}

// A fault affects only its own camera: the last good configuration of that camera stays
// in force, and the other cameras are applied.
func TestApply_cameraFaults(t *testing.T) {
	for _, c := range cameraFaults {
		t.Run(c.name, func(t *testing.T) {
			got, out := parse(t, cameras(c.cameras)).Apply(&twin.Settings{Cameras: unchanged})
			if d := cmp.Diff(c.want, got.Cameras); d != "" {
				t.Error(d)
			}
			if len(out.Faults) != 1 || out.Faults[0].Path != c.path || out.Faults[0].Code != c.code {
				t.Errorf("faults %+v, want %s at %s", out.Faults, c.code, c.path)
			}
		})
	}
}

func TestApply_hosts(t *testing.T) {
	for _, host := range []string{
		"10.0.0.21", "cam", "cam_1.yard.example.com.", strings.Repeat("h", 253), "::1", "2001:db8::1", "2001:db8:1:2:3:4:5:6", "fe80::1%eth0", "::ffff:10.0.0.21",
	} {
		got, out := parse(t, cameras(`{"front":{"host":"`+host+`"}}`)).Apply(nil)
		if len(out.Faults) > 0 || got.Cameras[0].Host != host {
			t.Errorf("%s: %+v", host, out.Faults)
		}
	}
}

func TestApply_allFaultsOfACamera(t *testing.T) {
	_, out := parse(t, cameras(`{"a":{"port":0,"localPort":"x","enabled":3}}`)).Apply(nil)
	var got []string
	for _, f := range out.Faults {
		got = append(got, f.String()+" | "+f.InForce)
	}
	want := []string{
		"cameras/a/enabled: must be true or false | there is no such camera",
		"cameras/a/host: is missing: must be a host name or an IP address of at most 253 characters, without scheme, port, path and login | there is no such camera",
		"cameras/a/localPort: must be an integer from 1 to 65535 | there is no such camera",
		"cameras/a/port: must be an integer from 1 to 65535 | there is no such camera",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestApply_camerasRemoved(t *testing.T) {
	for name, doc := range map[string]string{
		"empty map":    cameras(`{}`),
		"no section":   desired(``),
		"null section": cameras(`null`),
		"null camera":  cameras(`{"front":null}`),
	} {
		if got, out := parse(t, doc).Apply(lastGood()); len(got.Cameras) != 0 || len(out.Faults) != 0 {
			t.Errorf("%s: %v, %v", name, got.Cameras, out.Faults)
		}
	}
}

// The first 512 cameras by name are applied, the others are rejected.
func TestApply_tooManyCameras(t *testing.T) {
	var many []string
	for i := range 515 {
		many = append(many, fmt.Sprintf(`"c%03d":{"host":"h","port":%d}`, i, i+1))
	}
	got, out := parse(t, cameras(`{`+strings.Join(many, ",")+`}`)).Apply(nil)
	if len(got.Cameras) != 512 || got.Cameras[511].Name != "c511" {
		t.Errorf("%d cameras", len(got.Cameras))
	}
	var paths []string
	for _, f := range out.Faults {
		paths = append(paths, f.Path+" "+string(f.Code))
	}
	if d := cmp.Diff([]string{"cameras/c512 CFG_SIZE", "cameras/c513 CFG_SIZE", "cameras/c514 CFG_SIZE"}, paths); d != "" {
		t.Error(d)
	}
}

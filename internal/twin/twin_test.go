package twin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/reason"
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

// desired is a whole twin with these desired properties, version 7.
func desired(members string) string {
	if members != "" {
		members += ","
	}
	return `{"desired":{` + members + `"$version":7,"$metadata":{"$lastUpdated":"x"}},"reported":{"$version":1}}`
}

func cameras(members string) string { return desired(`"cameras":` + members) }

var (
	front = camera("front", "10.0.0.21", 554, 8554)
	yard  = camera("yard", "yard.local", 10554, 10554)
)

func camera(name, host string, port, localPort int) twin.Camera {
	return twin.Camera{Name: name, Host: host, Port: port, LocalPort: localPort, MaxTunnels: 4, Enabled: true}
}

// lastGood is a configuration in which nothing has its default.
func lastGood() *twin.Settings {
	return &twin.Settings{
		Version: 3, Cameras: []twin.Camera{front},
		Remotes: twin.Remotes{Patterns: map[string]string{"ours": "gw.example.com"}},
		Tunnels: twin.Tunnels{
			Enabled: true, Max: 9, CameraTimeout: time.Second, RemoteTimeout: 2 * time.Second, OpenTimeout: 4 * time.Second,
			Ping: 7 * time.Second, IdleTimeout: time.Minute, StallTimeout: time.Hour, MaxAge: 2 * time.Hour, MaxBitsPerSecond: 1000,
		},
		Health:    twin.Health{Interval: 90 * time.Second, ProbeBeforeOpen: true},
		Proxy:     twin.Proxy{URL: "http://proxy.site:3128", NoProxy: ".local"},
		Telemetry: twin.Telemetry{Interval: 61 * time.Second},
		Log:       twin.Log{Level: "debug"},
	}
}

func TestDefaults(t *testing.T) {
	want := twin.Settings{
		Remotes: twin.Remotes{Any: true},
		Tunnels: twin.Tunnels{
			Enabled: true, Max: 64, CameraTimeout: 5 * time.Second, RemoteTimeout: 10 * time.Second, OpenTimeout: 20 * time.Second,
			Ping: 20 * time.Second, StallTimeout: 60 * time.Second,
		},
		Health:    twin.Health{Enabled: true, Interval: 60 * time.Second},
		Telemetry: twin.Telemetry{Enabled: true, Interval: 900 * time.Second},
		Log:       twin.Log{Level: "info"},
	}
	if d := cmp.Diff(want, twin.Defaults()); d != "" {
		t.Error(d)
	}
}

func TestApply_all(t *testing.T) {
	got, out := parse(t, desired(`
		"cameras": {
			"yard":  {"host":"yard.local","port":10554},
			"front": {"host":"10.0.0.21","localPort":8554,"maxTunnels":2,"enabled":false,"maxBitsPerSecond":5000000,"expectedOffline":true},
			"$metadata": {}},
		"remoteEndpoints": {"ours":"*.example.com","lab":"gw.example.com:8443","six":"[2001:db8::1]:443"},
		"tunnels": {"enabled":false,"max":1,"cameraTimeoutSeconds":2,"remoteTimeoutSeconds":3,"openTimeoutSeconds":5,"pingSeconds":300,
			"idleTimeoutSeconds":1,"stallTimeoutSeconds":2,"maxAgeSeconds":3,"maxBitsPerSecond":4},
		"health": {"enabled":false,"intervalSeconds":30,"probeBeforeOpen":true},
		"proxy": {"url":"https://proxy:3128","noProxy":"10.0.0.0/8, .local"},
		"telemetry": {"enabled":false,"intervalSeconds":60}, "log": {"level":"verbose"},
		"edgeService": {"whatever": [1]}`)).Apply(nil)
	off := front
	off.MaxTunnels, off.Enabled, off.MaxBitsPerSecond, off.ExpectedOffline = 2, false, 5000000, true
	want := twin.Settings{
		Version: 7, Cameras: []twin.Camera{off, yard},
		Remotes: twin.Remotes{Patterns: map[string]string{"ours": "*.example.com", "lab": "gw.example.com:8443", "six": "[2001:db8::1]:443"}},
		Tunnels: twin.Tunnels{
			Max: 1, CameraTimeout: 2 * time.Second, RemoteTimeout: 3 * time.Second, OpenTimeout: 5 * time.Second, Ping: 300 * time.Second,
			IdleTimeout: time.Second, StallTimeout: 2 * time.Second, MaxAge: 3 * time.Second, MaxBitsPerSecond: 4,
		},
		Health:    twin.Health{Interval: 30 * time.Second, ProbeBeforeOpen: true},
		Proxy:     twin.Proxy{URL: "https://proxy:3128", NoProxy: "10.0.0.0/8, .local"},
		Telemetry: twin.Telemetry{Interval: 60 * time.Second},
		Log:       twin.Log{Level: "verbose"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	wantOut := twin.Outcome{
		Version:  7,
		Sections: []string{"cameras", "remoteEndpoints", "tunnels", "health", "proxy", "telemetry", "log"},
		NotYet: []string{
			"cameras/*/expectedOffline", "cameras/*/maxBitsPerSecond",
			"tunnels/idleTimeoutSeconds", "tunnels/maxAgeSeconds", "tunnels/maxBitsPerSecond",
			"health/enabled", "health/intervalSeconds", "health/probeBeforeOpen", "telemetry/enabled", "telemetry/intervalSeconds", "edgeService",
		},
	}
	if d := cmp.Diff(wantOut, out, cmpopts.IgnoreUnexported(twin.Outcome{})); d != "" {
		t.Error(d)
	}
}

// Every property of the schema is one of the settings, and comes back as it was: the
// table of fields has no gap.
func TestSection_roundTrip(t *testing.T) {
	for _, compact := range []bool{false, true} {
		doc := map[string]any{"$version": 3}
		for _, name := range []string{"cameras", "remoteEndpoints", "tunnels", "health", "proxy", "telemetry", "log"} {
			doc[name] = lastGood().Section(name, compact)
		}
		b, err := json.Marshal(map[string]any{"desired": doc})
		if err != nil {
			t.Fatal(err)
		}
		got, out := parse(t, string(b)).Apply(nil)
		if d := cmp.Diff(*lastGood(), got); d != "" || len(out.Faults)+len(out.Warnings)+len(out.UnknownKeys) > 0 {
			t.Errorf("compact %v: %s\n%+v", compact, d, out)
		}
	}
	if got := twin.Defaults().Section("tunnels", true); len(got) > 0 {
		t.Errorf("compact defaults: %v", got)
	}
	full := lastGood().Section("cameras", false)["front"]
	if d := cmp.Diff(map[string]any{
		"host": "10.0.0.21", "port": int64(554), "localPort": int64(8554), "maxTunnels": int64(4), "enabled": true,
		"maxBitsPerSecond": int64(0), "expectedOffline": false,
	}, full); d != "" {
		t.Error(d)
	}
}

// A fault costs the camera that has it, and nothing else: the last good one of its
// name stays in force, the others are applied.
func TestApply_cameraFaults(t *testing.T) {
	last := []twin.Camera{front}
	for _, c := range []struct {
		name, cameras, path string
		code                reason.Code
		want                []twin.Camera
	}{
		{"not an object", `["front"]`, "cameras", reason.ConfigType, last},
		{"entry not an object", `{"front":5}`, "cameras/front", reason.ConfigType, last},
		{"no host", `{"front":{"port":1}}`, "cameras/front/host", reason.ConfigMissing, last},
		{"empty host", `{"front":{"host":""}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"host null", `{"front":{"host":null}}`, "cameras/front/host", reason.ConfigMissing, last},
		{"host number", `{"front":{"host":7}}`, "cameras/front/host", reason.ConfigType, last},
		{"host with a path", `{"front":{"host":"h/x"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"host with a login", `{"front":{"host":"u:p@h"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"host with a port", `{"front":{"host":"10.0.0.21:554"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"login alone", `{"front":{"host":"admin:canary"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"address in brackets", `{"front":{"host":"[2001:db8::1]"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"zone without an address", `{"front":{"host":"h%eth0"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"host with a line end", `{"front":{"host":"h\n"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"lone surrogate", `{"front":{"host":"\ud800"}}`, "cameras/front/host", reason.ConfigFormat, last},
		{"port zero", `{"front":{"host":"h","port":0}}`, "cameras/front/port", reason.ConfigRange, last},
		{"port zero as a string", `{"front":{"host":"h","port":"0"}}`, "cameras/front/port", reason.ConfigRange, last},
		{"port in words", `{"front":{"host":"h","port":"rtsp"}}`, "cameras/front/port", reason.ConfigType, last},
		{"port fraction", `{"front":{"host":"h","port":554.5}}`, "cameras/front/port", reason.ConfigType, last},
		{"port without end", `{"front":{"host":"h","port":1e999}}`, "cameras/front/port", reason.ConfigRange, last},
		{"port beyond integers", `{"front":{"host":"h","port":99999999999999999999}}`, "cameras/front/port", reason.ConfigRange, last},
		{"local port too large", `{"front":{"host":"h","localPort":65536}}`, "cameras/front/localPort", reason.ConfigRange, last},
		{"no tunnels", `{"front":{"host":"h","maxTunnels":0}}`, "cameras/front/maxTunnels", reason.ConfigRange, last},
		{"enabled in words", `{"front":{"host":"h","enabled":"yes"}}`, "cameras/front/enabled", reason.ConfigType, last},
		{"enabled as a number", `{"front":{"host":"h","enabled":1}}`, "cameras/front/enabled", reason.ConfigType, last},
		{"property twice", `{"front":{"host":"a","host":"b"}}`, "cameras/front/host", reason.ConfigDuplicate, last},
		{"camera twice", `{"front":{"host":"a"},"front":{"host":"b"}}`, "cameras/front", reason.ConfigDuplicate, last},
		{"too deep", `{"front":{"host":[[[[[[[[[[[1]]]]]]]]]]]}}`, "cameras/front/host", reason.ConfigType, last},
		{"bad name", `{"a.b":{"host":"h"}}`, "cameras/a.b", reason.ConfigFormat, nil},
		{"name too long", `{"` + strings.Repeat("n", 65) + `":{"host":"h"}}`, "cameras/" + strings.Repeat("n", 64) + "...", reason.ConfigFormat, nil},
		{"name in no alphabet", `{"\ud800\u202e\n":{"host":"h"}}`, `cameras/\ufffd\u202e\n`, reason.ConfigFormat, nil},
		{
			"the others go on", `{"front":{"host":7},"yard":{"host":"yard.local","port":10554}}`, "cameras/front/host", reason.ConfigType,
			[]twin.Camera{front, yard},
		},
		{
			"local port twice: the later name", `{"a":{"host":"h"},"b":{"host":"h"}}`, "cameras/b/localPort", reason.ConfigDuplicate,
			[]twin.Camera{camera("a", "h", 554, 554)},
		},
		{
			"only local ports collide", `{"a":{"host":"h","port":7,"localPort":1},"b":{"host":"h","port":1,"localPort":7},"c":{"host":"h","localPort":7}}`,
			"cameras/c/localPort", reason.ConfigDuplicate,
			[]twin.Camera{camera("a", "h", 7, 1), camera("b", "h", 1, 7)},
		},
		{
			"the last good one's local port is taken now", `{"a":{"host":"h","port":8554},"front":{"host":7}}`, "cameras/front/host", reason.ConfigType,
			[]twin.Camera{camera("a", "h", 8554, 8554)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, out := parse(t, cameras(c.cameras)).Apply(&twin.Settings{Cameras: last})
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
		"cameras/a/host: is missing: must be a host name or an address, at most 253 characters, without scheme, port, path and login | there is no such camera",
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

// 512 cameras, then the rest is rejected by name.
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

func TestApply_sectionFaults(t *testing.T) {
	for _, c := range []struct {
		name, desired, path string
		code                reason.Code
	}{
		{"not an object", `"tunnels":[]`, "tunnels", reason.ConfigType},
		{"twice", `"log":{},"log":{}`, "log", reason.ConfigDuplicate},
		{"max", `"tunnels":{"max":10001}`, "tunnels/max", reason.ConfigRange},
		{"camera timeout", `"tunnels":{"cameraTimeoutSeconds":0}`, "tunnels/cameraTimeoutSeconds", reason.ConfigRange},
		{"remote timeout", `"tunnels":{"remoteTimeoutSeconds":61}`, "tunnels/remoteTimeoutSeconds", reason.ConfigRange},
		{"open timeout", `"tunnels":{"openTimeoutSeconds":26}`, "tunnels/openTimeoutSeconds", reason.ConfigRange},
		{"open shorter than its parts", `"tunnels":{"openTimeoutSeconds":14}`, "tunnels/openTimeoutSeconds", reason.ConfigRange},
		{"parts longer than open", `"tunnels":{"cameraTimeoutSeconds":11}`, "tunnels/openTimeoutSeconds", reason.ConfigRange},
		{"ping low", `"tunnels":{"pingSeconds":4}`, "tunnels/pingSeconds", reason.ConfigRange},
		{"ping high", `"tunnels":{"pingSeconds":301}`, "tunnels/pingSeconds", reason.ConfigRange},
		{"good ones do not save bad ones", `"tunnels":{"max":5,"pingSeconds":"soon"}`, "tunnels/pingSeconds", reason.ConfigType},
		{"health", `"health":{"intervalSeconds":0}`, "health/intervalSeconds", reason.ConfigRange},
		{"telemetry", `"telemetry":{"enabled":{}}`, "telemetry/enabled", reason.ConfigType},
		{"level", `"log":{"level":"loud"}`, "log/level", reason.ConfigRange},
		{"level in another case", `"log":{"level":"Info"}`, "log/level", reason.ConfigRange},
		{"proxy login", `"proxy":{"url":"http://user:canary@proxy:3128"}`, "proxy/url", reason.ConfigProxy},
		{"proxy user", `"proxy":{"url":"http://canary@proxy:3128"}`, "proxy/url", reason.ConfigProxy},
		{"proxy scheme", `"proxy":{"url":"socks5://proxy:1080"}`, "proxy/url", reason.ConfigProxy},
		{"proxy path", `"proxy":{"url":"http://proxy:3128/canary"}`, "proxy/url", reason.ConfigProxy},
		{"proxy port", `"proxy":{"url":"http://proxy:99999"}`, "proxy/url", reason.ConfigProxy},
		{"proxy number", `"proxy":{"url":7}`, "proxy/url", reason.ConfigProxy},
		{"no proxy", `"proxy":{"noProxy":"u:canary@h"}`, "proxy/noProxy", reason.ConfigFormat},
		{"remotes", `"remoteEndpoints":"*"`, "remoteEndpoints", reason.ConfigType},
		{"remote with a scheme", `"remoteEndpoints":{"a":"gw.example.com","b":"wss://gw.example.com"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"remote with a login", `"remoteEndpoints":{"b":"u:canary@gw.example.com"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"star inside", `"remoteEndpoints":{"b":"gw.*.com"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"star alone", `"remoteEndpoints":{"b":"*"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"remote empty", `"remoteEndpoints":{"b":""}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"remote port", `"remoteEndpoints":{"b":"gw.example.com:0"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"remote port in brackets", `"remoteEndpoints":{"b":"[::1]:65536"}`, "remoteEndpoints/b", reason.ConfigFormat},
		{"label", `"remoteEndpoints":{"a b":"gw.example.com"}`, "remoteEndpoints/a b", reason.ConfigFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, out := parse(t, desired(c.desired)).Apply(lastGood())
			if len(out.Faults) != 1 || out.Faults[0].Path != c.path || out.Faults[0].Code != c.code {
				t.Errorf("faults %+v, want %s at %s", out.Faults, c.code, c.path)
			}
			section := out.Sections[0]
			if d := cmp.Diff(lastGood().Section(section, false), got.Section(section, false)); d != "" {
				t.Error(d)
			}
			if text := fmt.Sprintf("%+v", out); strings.Contains(text, "canary") {
				t.Errorf("the outcome repeats the value: %s", text)
			}
		})
	}
}

func TestApply_remotes(t *testing.T) {
	ours := twin.Remotes{Patterns: map[string]string{"ours": "gw.example.com"}}
	for _, c := range []struct {
		name, desired string
		last          *twin.Settings
		want          twin.Remotes
	}{
		{"absent", ``, lastGood(), twin.Remotes{Any: true}},
		{"null", `"remoteEndpoints":null`, lastGood(), twin.Remotes{Any: true}},
		{"empty", `"remoteEndpoints":{}`, lastGood(), twin.Remotes{Patterns: map[string]string{}}},
		{"label taken away", `"remoteEndpoints":{"ours":null}`, lastGood(), twin.Remotes{Patterns: map[string]string{}}},
		{"rejected", `"remoteEndpoints":{"ours":7}`, lastGood(), ours},
		{"rejected, no last good", `"remoteEndpoints":{"ours":7}`, nil, twin.Remotes{}},
		{"all rejected, no last good", `"x":"` + strings.Repeat("x", 40000) + `"`, nil, twin.Remotes{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := parse(t, desired(c.desired)).Apply(c.last)
			if d := cmp.Diff(c.want, got.Remotes); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestApply_sectionsAtDefaults(t *testing.T) {
	for name, doc := range map[string]string{
		"absent": desired(``),
		"null":   desired(`"cameras":null,"remoteEndpoints":null,"tunnels":null,"health":null,"proxy":null,"telemetry":null,"log":null`),
		"leaves": desired(`"tunnels":{"max":null},"health":{"enabled":null},"proxy":{"url":null},"telemetry":{},"log":{"level":null}`),
	} {
		got, out := parse(t, doc).Apply(lastGood())
		want := twin.Defaults()
		want.Version = 7
		if d := cmp.Diff(want, got); d != "" || len(out.Faults) > 0 {
			t.Errorf("%s: %s %v", name, d, out.Faults)
		}
		if name == "null" && len(out.Sections) > 0 {
			t.Errorf("sections that are null are taken for present: %v", out.Sections)
		}
	}
}

// The switch-off counts whatever else is wrong; a switch-on needs a section without
// faults.
func TestApply_killSwitch(t *testing.T) {
	off := lastGood()
	off.Tunnels.Enabled = false
	for _, c := range []struct {
		tunnels string
		last    *twin.Settings
		want    bool
	}{
		{`{"enabled":false}`, lastGood(), false},
		{`{"enabled":"False"}`, lastGood(), false},
		{`{"enabled":false,"max":0}`, lastGood(), false},
		{`{"enabled":"false","openTimeoutSeconds":1}`, lastGood(), false},
		{`{"enabled":false,"max":0}`, nil, false},
		{`{"enabled":true,"max":0}`, off, false},
		{`{"enabled":true}`, off, true},
		{`{}`, off, true},
	} {
		got, out := parse(t, desired(`"tunnels":`+c.tunnels)).Apply(c.last)
		if got.Tunnels.Enabled != c.want {
			t.Errorf("%s: enabled is %v", c.tunnels, got.Tunnels.Enabled)
		}
		if c.last != nil && len(out.Faults) > 0 && got.Tunnels.Max != 9 {
			t.Errorf("%s: of the section with a fault more than the switch was taken", c.tunnels)
		}
	}
}

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
		t.Errorf("integers in other spellings: %+v %+v", got.Cameras, out)
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
		t.Errorf("%d unknown keys are told", len(out.UnknownKeys))
	}
}

// Hostile documents lose nothing: what was in force stays.
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
		"abyss": desired(`"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000)), "5 MiB": desired(`"x":"` + strings.Repeat("x", 5<<20) + `"`),
	} {
		if _, err := twin.Parse([]byte(doc)); err == nil {
			t.Errorf("%s is taken for a twin", name)
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
				t.Fatalf("applied a second time, other things are in force: %s", d)
			}
			if len(out.UnknownKeys) > 64 || len(out.Sections) > 7 {
				t.Fatalf("not bounded: %+v", out)
			}
		}
	})
}

// invariants hold for whatever comes into force.
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

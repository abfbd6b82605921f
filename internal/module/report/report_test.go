package report_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/report"
	"rtsptunnel/internal/module/twin"
)

// apply applies desired properties of version 9.
func apply(t *testing.T, members string, last *twin.Settings) (twin.Settings, twin.Outcome) {
	t.Helper()
	tw, err := twin.Parse([]byte(`{"desired":{` + members + `,"$version":9}}`))
	if err != nil {
		t.Fatal(err)
	}
	return tw.Apply(last)
}

func object(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return v
}

func encoded(t *testing.T, section map[string]any) []byte {
	t.Helper()
	doc, err := json.Marshal(section)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

func fullState() report.State {
	return report.State{
		Version: "1.4.0", Since: noon, Reasons: []reason.Code{"CFG_RANGE"},
		Hub:   report.Hub{Protocol: "mqttws", ConnectedSince: noon, Reconnects: 3, TokenExpires: noon.Add(time.Hour)},
		Proxy: &report.Proxy{Origin: "twin", Host: "user:canary@proxy.site:3128", Auth: true},
		Cameras: map[string]report.CameraStatus{
			"dock": {State: "unreachable", Since: noon, Open: 1, LastReason: "CAM_REFUSED"},
			"gone": {State: "ok"},
		},
		Totals: &report.Totals{Opened: 812, Failed: 9, BytesUp: 1234, BytesDown: 567},
	}
}

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		name, desired string
		state         report.State
		want          string
	}{
		{
			"minimal", `"log":null`,
			report.State{Version: "dev", Hub: report.Hub{Protocol: "mqtt"}},
			`{"schema":1,"version":"dev","state":"healthy","reasons":[],"hub":{"protocol":"mqtt","reconnects":0},"policy":"any",
			"config":{"applied":9},"capabilities":["tunnelOpen/1"]}`,
		},
		{
			"full",
			`"cameras":{"dock":{"host":"10.0.0.21"},"x":{"host":"h","port":0}},"log":{"level":"debug"},"remoteEndpoints":{"a":"*.example.com"},"foo":1,"tunnels":{"maxAgeSeconds":30},"telemetry":{"intervalSeconds":90}`,
			fullState(),
			`{"schema":1,"version":"1.4.0","state":"degraded","since":"2026-11-22T11:00:00Z","reasons":["CFG_RANGE"],
			"config":{"applied":9,"rejected":9,"errors":[{"path":"cameras/x/port","code":"CFG_RANGE"}],"unknownKeys":["foo"],"notYet":["telemetry/intervalSeconds"]},
			"hub":{"protocol":"mqttws","connectedSince":"2026-11-22T11:00:00Z","reconnects":3,"tokenExpires":"2026-11-22T12:00:00Z"},
			"effectiveProxy":{"origin":"twin","host":"proxy.site:3128","auth":true},"policy":"list",
			"cameraStatus":{"dock":{"localPort":554,"state":"unreachable","since":"2026-11-22T11:00:00Z","open":1,"lastReason":"CAM_REFUSED"}},
			"totals":{"opened":812,"failed":9,"bytesUp":1234,"bytesDown":567},"capabilities":["tunnelOpen/1"],
			"cameras":{"value":{"dock":{"host":"10.0.0.21","port":554,"localPort":554,"maxTunnels":4,"enabled":true,"maxBitsPerSecond":0,"expectedOffline":false}},
				"ac":400,"av":9,"ad":"cameras/x/port: must be an integer from 1 to 65535"},
			"remoteEndpoints":{"value":{"a":"*.example.com"},"ac":200,"av":9,"ad":""},
			"tunnels":{"value":{"enabled":true,"max":64,"cameraTimeoutSeconds":5,"remoteTimeoutSeconds":10,"openTimeoutSeconds":20,"pingSeconds":20,
				"idleTimeoutSeconds":0,"stallTimeoutSeconds":60,"maxAgeSeconds":30,"maxBitsPerSecond":0},"ac":200,"av":9,"ad":""},
			"telemetry":{"value":{"enabled":true,"intervalSeconds":90},"ac":200,"av":9,"ad":""},
			"log":{"value":{"level":"debug"},"ac":200,"av":9,"ad":""}}`,
		},
		{
			"stopped, nothing allowed", `"cameras":{},"remoteEndpoints":{}`,
			report.State{Stopped: true, Reasons: []reason.Code{"X"}},
			`{"schema":1,"version":"","state":"stopped","reasons":["X"],"hub":{"protocol":"","reconnects":0},"policy":"none",
			"config":{"applied":9},"capabilities":["tunnelOpen/1"],
			"cameras":{"value":{},"ac":200,"av":9,"ad":"cameras in force: 0"},"remoteEndpoints":{"value":{},"ac":200,"av":9,"ad":""}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inForce, outcome := apply(t, c.desired, nil)
			if d := cmp.Diff(object(t, []byte(c.want)), report.Build(c.state, inForce, outcome)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A version that is rejected as a whole is not applied, and each section says so.
func TestBuild_allRejected(t *testing.T) {
	last, _ := apply(t, `"log":{"level":"error"}`, nil)
	last.Version = 5
	inForce, outcome := apply(t, `"health":null,"x":"`+strings.Repeat("x", 33000)+`","log":{"level":"info"}`, &last)
	got := report.Build(report.State{}, inForce, outcome)
	const ad = "desired: the desired properties must have at most 32768 bytes, as the hub counts them"
	want := map[string]any{
		"config": map[string]any{"applied": 5., "rejected": 9., "errors": []any{map[string]any{"path": "desired", "code": "CFG_SIZE"}}},
		"log":    map[string]any{"value": map[string]any{"level": "error"}, "ac": 400., "av": 9., "ad": ad},
		"health": nil,
	}
	for name := range want {
		if d := cmp.Diff(want[name], got[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// many returns n typical cameras and their states.
func many(n int) (members string, state report.State) {
	entries := make([]string, n)
	state = fullState()
	state.Cameras = map[string]report.CameraStatus{}
	for i := range n {
		name := fmt.Sprintf("gate-%03d-north", i)
		entries[i] = fmt.Sprintf(`%q:{"host":"192.168.100.%d","port":554,"localPort":%d}`, name, i%256, 8000+i)
		state.Cameras[name] = report.CameraStatus{State: "ok", Since: noon, LastReason: "CAM_CLOSED"}
	}
	return `"cameras":{` + strings.Join(entries, ",") + `}`, state
}

// otherSections has the sections other than cameras, none of them empty.
const otherSections = `,"remoteEndpoints":{"ours":"*.example.com","lab":"gw.lab.example.com:8443"},"tunnels":{"max":32,"pingSeconds":30},"health":{"intervalSeconds":30},
	"proxy":{"url":"http://proxy.site:3128","noProxy":"10.0.0.0/8,.local"},"telemetry":{"intervalSeconds":300},"log":{"level":"debug"}`

func TestBuild_sizes(t *testing.T) {
	for _, c := range []struct {
		cameras, most int
		truncated     bool
	}{{0, 8 << 10, false}, {8, 8 << 10, false}, {32, 8 << 10, false}, {100, 24 << 10, false}, {512, 24 << 10, true}} {
		members, state := many(c.cameras)
		inForce, outcome := apply(t, members+otherSections, nil)
		got := report.Build(state, inForce, outcome)
		if n := len(encoded(t, got)); n > c.most || got["truncated"] == true != c.truncated {
			t.Errorf("%d cameras: %d bytes, truncated %v", c.cameras, n, got["truncated"])
		}
		if c.cameras > 0 && !c.truncated && len(got["cameraStatus"].(map[string]any)) != c.cameras {
			t.Errorf("%d cameras: not all states are reported", c.cameras)
		}
	}
}

// A truncated report uses most of the space: only what does not fit is left out.
func TestBuild_truncatedIsNearlyFull(t *testing.T) {
	for _, n := range []int{80, 100, 120, 150} {
		var entries []string
		for i := range n {
			entries = append(entries, fmt.Sprintf(`"%064d":{"host":"%0100d","localPort":%d}`, i, i, i+1))
		}
		inForce, outcome := apply(t, `"cameras":{`+strings.Join(entries, ",")+`}`+otherSections, nil)
		state := fullState()
		for _, c := range inForce.Cameras {
			state.Cameras[c.Name] = report.CameraStatus{State: "unreachable", Since: noon, LastReason: "CAM_UNREACHABLE"}
		}
		if doc := encoded(t, report.Build(state, inForce, outcome)); len(doc) < 12<<10 || len(doc) > 24<<10 {
			t.Errorf("%d cameras: %d bytes", n, len(doc))
		}
	}
}

// A truncated report prefers cameras with open tunnels or problems.
func TestBuild_truncatedPrefersImportant(t *testing.T) {
	members, state := many(512)
	state.Cameras["gate-500-north"] = report.CameraStatus{State: "unreachable"}
	state.Cameras["gate-501-north"] = report.CameraStatus{State: "ok", Open: 2}
	inForce, outcome := apply(t, members, nil)
	status := report.Build(state, inForce, outcome)["cameraStatus"].(map[string]any)
	if len(status) > 256 || status["gate-500-north"] == nil || status["gate-501-north"] == nil {
		t.Errorf("%d states", len(status))
	}
}

// The report fits the hub's limits, whatever the twin contains.
func TestBuild_neverTooLarge(t *testing.T) {
	long := strings.Repeat("é", 100) + `\u0000<>&`
	for name, c := range map[string]struct {
		n     int
		entry func(i int) string
	}{
		"long hosts":        {50, func(i int) string { return fmt.Sprintf(`"%064d":{"host":"%0253d","port":%d}`, i, i, i+1) }},
		"hostile names":     {60, func(i int) string { return fmt.Sprintf(`"%s%d":{"host":"h"}`, long, i) }},
		"unknown keys":      {60, func(i int) string { return fmt.Sprintf(`"c%d":{"host":"h","port":%d,"%s%d":1}`, i, i+1, long, i) }},
		"faulty properties": {60, func(i int) string { return fmt.Sprintf(`"%064d":{"host":7,"port":7,"enabled":7}`, i) }},
		"everything": {20, func(i int) string {
			return fmt.Sprintf(`"a%063d":{"host":"%0253d","port":%d,"localPort":%[3]d1,"maxTunnels":7,"enabled":false,"maxBitsPerSecond":77777777777,"expectedOffline":true,"%[4]s%[1]d":1},"b%063[1]d":{"host":7}`, i, i, i+1, long)
		}},
	} {
		var entries, labels []string
		for i := range c.n {
			entries = append(entries, c.entry(i))
			labels = append(labels, fmt.Sprintf(`"%064d":"%sexample.com"`, i, strings.Repeat(strings.Repeat("é", 40)+".", max(1, 80/c.n))))
		}
		members := `"cameras":{` + strings.Join(entries, ",") + `},"remoteEndpoints":{` + strings.Join(labels, ",") + `},"tunnels":7,"health":7,"log":7,"proxy":{"url":"http://` + strings.Repeat("p", 250) + `","noProxy":"` + strings.Repeat("h,", 510) + `"}`
		inForce, outcome := apply(t, members, nil)
		state := fullState()
		state.Reasons, state.Cameras = reason.Codes(), map[string]report.CameraStatus{}
		for _, camera := range inForce.Cameras {
			state.Cameras[camera.Name] = report.CameraStatus{State: "offlineExpected", Since: noon, Open: 10000, LastReason: "WS_TLS_EXPIRED"}
		}
		doc := encoded(t, report.Build(state, inForce, outcome))
		if object(t, doc); len(doc) > 24<<10 || len(outcome.Faults) < 3 || len(inForce.Remotes.Patterns) != c.n {
			t.Errorf("%s: %d bytes, %d faults, %d endpoints", name, len(doc), len(outcome.Faults), len(inForce.Remotes.Patterns))
		}
	}
}

// The description names the rejected properties, with their faults while there is room.
func TestBuild_describes(t *testing.T) {
	for _, c := range []struct {
		cameras, texts, named int
		more                  string
	}{{3, 3, 3, ""}, {9, 9, 9, ""}, {30, 9, 30, ""}, {200, 9, 37, "; and 163 more"}} {
		var entries []string
		for i := range c.cameras {
			entries = append(entries, fmt.Sprintf(`"c%03d":{"host":"h","port":0}`, i))
		}
		inForce, outcome := apply(t, `"cameras":{`+strings.Join(entries, ",")+`}`, nil)
		ad := report.Build(report.State{}, inForce, outcome)["cameras"].(map[string]any)["ad"].(string)
		texts, named := strings.Count(ad, "must be an integer from 1 to 65535"), strings.Count(ad, "/port")
		if len(ad) > 1100 || texts != c.texts || named != c.named || !strings.HasSuffix(ad, c.more) {
			t.Errorf("%d cameras: %d texts, %d names: %s", c.cameras, texts, named, ad)
		}
	}
}

// The report does not repeat a secret that an operator puts in the wrong place.
func TestBuild_noSecrets(t *testing.T) {
	const canary = "canary-4711"
	inForce, outcome := apply(t, strings.ReplaceAll(`"secret":"@@","cameras":{"a":{"host":"admin:@@@10.0.0.1"},"b":{"host":"h","password":"@@","port":"@@"},
		"c":"rtsp://admin:@@@h","d":{"host":"h","port":9,"url":["@@"]}},"remoteEndpoints":{"a":"user:@@@gw.example.com"},
		"proxy":{"url":"http://user:@@@proxy:3128","noProxy":"@@@"},"log":{"level":"@@"},"tunnels":"@@","edgeService":{"key":"@@"}`, "@@", canary), nil)
	doc := string(encoded(t, report.Build(fullState(), inForce, outcome)))
	for _, f := range outcome.Faults {
		doc += fmt.Sprintf("%+v", f)
	}
	if i := strings.Index(doc, "canary"); i >= 0 {
		t.Errorf("the report contains a secret: ...%s...", doc[max(0, i-60):min(len(doc), i+60)])
	}
	if len(outcome.Faults) < 7 {
		t.Errorf("only %d faults: the test no longer covers them", len(outcome.Faults))
	}
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, hub, want, patch string }{
		{"empty", `{}`, `{"a":1,"b":{"c":{}}}`, `{"a":1,"b":{"c":{}}}`},
		{"no section", ``, `{"a":1}`, `{"a":1}`},
		{"not a section", `[7]`, `{"a":1}`, `{"a":1}`},
		{"nothing to change", `{"a":1,"b":{"c":"x","$x":3},"l":[{"p":1},null],"$metadata":{"a":{}},"$version":7}`, `{"b":{"c":"x"},"l":[{"p":1},null],"a":1}`, ``},
		{"a leaf changes", `{"a":1,"b":{"c":"x","d":true}}`, `{"a":1,"b":{"c":"y","d":true}}`, `{"b":{"c":"y"}}`},
		{"gone", `{"a":1,"old":{"x":{"y":1}},"b":{"c":1,"d":2},"$version":3}`, `{"a":1,"b":{"c":1}}`, `{"old":null,"b":{"d":null}}`},
		{"a list changes as a whole", `{"l":["a","b"]}`, `{"l":["a"]}`, `{"l":["a"]}`},
		{"object for a scalar", `{"a":1}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"scalar for an object", `{"a":{"b":1}}`, `{"a":1}`, `{"a":1}`},
		{"empty for full", `{"a":{"b":1}}`, `{"a":{}}`, `{"a":{"b":null}}`},
		{"empty objects that the hub does not keep", `{"a":{"ac":200}}`, `{"a":{"ac":200,"value":{}}}`, ``},
		{"empty for a scalar", `{"a":7}`, `{"a":{}}`, `{"a":{}}`},
		{"numbers and strings differ", `{"a":"1","b":1}`, `{"a":1,"b":"1"}`, `{"a":1,"b":"1"}`},
		{"large integers", `{"a":4503599627370495}`, `{"a":4503599627370494}`, `{"a":4503599627370494}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := report.Diff(json.RawMessage(c.hub), object(t, []byte(c.want)))
			if c.patch == "" {
				if got != nil {
					t.Errorf("patch %s, want none", got)
				}
				return
			}
			if d := cmp.Diff(object(t, []byte(c.patch)), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// The patch turns the hub's section into the wanted one, and then there is nothing left
// to change.
func FuzzDiff(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1,"c":[1]},"$version":1}`), []byte(`{"a":{"b":2},"x":"y"}`))
	f.Add([]byte(`{"a":null,"b":[{}]}`), []byte(`{"a":{},"b":{"c":{"d":{}}}}`))
	f.Add([]byte(strings.Repeat(`{"a":`, 50)+`1`+strings.Repeat(`}`, 50)), []byte(`{"a":{"a":{"a":7}}}`))
	f.Fuzz(func(t *testing.T, hub, want []byte) {
		var has, wanted map[string]any
		if json.Unmarshal(hub, &has) != nil || json.Unmarshal(want, &wanted) != nil || wanted == nil || hasUnreportable(wanted) {
			return
		}
		patch := report.Diff(hub, wanted)
		result, _ := merge(has, patch).(map[string]any)
		if d := cmp.Diff(withoutEmpty(wanted), withoutEmpty(result)); d != "" {
			t.Fatalf("%s on %s results in: %s", patch, hub, d)
		}
		merged, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		if again := report.Diff(merged, wanted); again != nil {
			t.Fatalf("%s after %s on %s leaves %s", want, patch, hub, again)
		}
	})
}

// withoutEmpty removes what a hub may leave out of a section: its own keys, nulls and
// empty objects.
func withoutEmpty(section map[string]any) map[string]any {
	some := map[string]any{}
	for name, value := range section {
		object, isObject := value.(map[string]any)
		switch below := withoutEmpty(object); {
		case strings.HasPrefix(name, "$"), value == nil:
		case !isObject:
			some[name] = value
		case len(below) > 0:
			some[name] = below
		}
	}
	return some
}

// hasUnreportable reports whether v contains what the module never reports: null and the
// hub's own keys.
func hasUnreportable(v any) bool {
	object, ok := v.(map[string]any)
	for name, value := range object {
		if strings.HasPrefix(name, "$") || hasUnreportable(value) {
			return true
		}
	}
	return v == nil && !ok
}

// merge implements RFC 7396.
func merge(target any, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	old, _ := target.(map[string]any)
	merged := maps.Clone(old)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(merged, name)
			continue
		}
		merged[name] = merge(merged[name], value)
	}
	return merged
}

// The acknowledgement of cameras names their streams, without their paths. Names of streams
// are left out before cameras are.
func TestBuild_streams(t *testing.T) {
	streams := func(names ...string) string {
		members := make([]string, len(names))
		for i, name := range names {
			members[i] = fmt.Sprintf(`%q:{"path":"/canary?channel=%d","codec":"H264"}`, name, i)
		}
		return `"streams":{` + strings.Join(members, ",") + `}`
	}
	build := func(cameras int, streams string) map[string]any {
		members, state := many(cameras)
		inForce, outcome := apply(t, strings.ReplaceAll(members, `"port":554`, `"port":554,`+streams), nil)
		if len(outcome.Faults) > 0 || len(inForce.Cameras) != cameras {
			t.Fatalf("%d cameras in force, %v", len(inForce.Cameras), outcome.Faults)
		}
		got := report.Build(state, inForce, outcome)
		if doc := string(encoded(t, got)); len(doc) > 24<<10 || strings.Contains(doc, "canary") || strings.Contains(doc, "H264") {
			t.Errorf("%d bytes: %.2000s", len(doc), doc)
		}
		return got
	}
	camera := func(report map[string]any) map[string]any {
		acknowledged := report["cameras"].(map[string]any)["value"].(map[string]any)
		return acknowledged["gate-001-north"].(map[string]any)
	}
	few := build(30, streams("sub", "main"))
	if d := cmp.Diff([]any{"main", "sub"}, camera(few)["streams"]); d != "" || few["truncated"] != nil {
		t.Errorf("%s, truncated: %v", d, few["truncated"])
	}
	var long []string
	for i := range 6 {
		long = append(long, fmt.Sprintf("%064d", i))
	}
	much := build(45, streams(long...))
	if n := len(much["cameraStatus"].(map[string]any)); camera(much)["streams"] != nil || much["truncated"] != true || n != 45 {
		t.Errorf("truncated %v, %d states, camera %v", much["truncated"], n, camera(much))
	}
}

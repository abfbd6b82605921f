package twin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

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
		{"a valid property beside it", `"tunnels":{"max":5,"pingSeconds":"soon"}`, "tunnels/pingSeconds", reason.ConfigType},
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
			t.Errorf("sections that are null are reported as present: %v", out.Sections)
		}
	}
}

// Switching off takes effect even if the section has other faults. Switching on needs a
// section without faults.
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
			t.Errorf("%s: a section with a fault changed more than the switch", c.tunnels)
		}
	}
}

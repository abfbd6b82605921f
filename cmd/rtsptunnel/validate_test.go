package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
)

// validated runs validate on a document.
func validated(doc string, flags ...string) result {
	var stdout, stderr bytes.Buffer
	code := validate(flags, strings.NewReader(doc), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

const faulty = `{"cameras":{"a":{"host":"h","port":"8554"},"b":{"host":"h","port":0}},"foo":"canary","telemetry":{"intervalSeconds":90}}`

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name, doc string
		flags     []string
		want      result
	}{
		{"no faults", `{"cameras":{"a":{"host":"h"}}}`, nil, result{0, "faults: 0\n", ""}},
		{"every kind of finding", faulty, nil, result{1, `fault    cameras/b/port  CFG_RANGE  must be an integer from 1 to 65535; there is no such camera
warning  cameras/a/port  is a string; it was converted to a number or boolean
unknown  foo  is ignored
not yet  telemetry/intervalSeconds  has no effect in this version
faults: 1
`, ""}},
		{"JSON", faulty, []string{"--json"}, result{1, `{"faults":[{"path":"cameras/b/port","code":"CFG_RANGE","text":"must be an integer from 1 to 65535","inForce":"there is no such camera"}],` +
			`"warnings":[{"path":"cameras/a/port","text":"is a string; it was converted to a number or boolean"}],"unknownKeys":["foo"],"notYet":["telemetry/intervalSeconds"]}` + "\n", ""}},
		{"no faults, JSON", `{}`, []string{"--json"}, result{0, `{"faults":[],"warnings":[],"unknownKeys":[],"notYet":[]}` + "\n", ""}},
		{"not JSON", `{"canary":`, nil, result{1, "", "rtsptunnel: the document is not JSON, at byte 10: unexpected end of JSON input\n"}},
		{"not JSON, JSON", `{"canary":`, []string{"--json", "--explain"}, result{1, `{"faults":[{"path":"document","code":"CFG_FORMAT",` +
			`"text":"the document is not JSON, at byte 10: unexpected end of JSON input","inForce":"nothing of it"}],"warnings":[],"unknownKeys":[],"notYet":[]}` + "\n", ""}},
		{"empty", ``, nil, result{1, "", "rtsptunnel: the document is missing\n"}},
		{"no twin", `["canary"]`, nil, result{1, "", "rtsptunnel: the document is not an object\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := validated(c.doc, c.flags...)
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(result{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestValidate_explain(t *testing.T) {
	r := validated(`{"remoteEndpoints":{"ours":"*.example.com"},"log":{"level":"debug"}}`, "--explain")
	for _, line := range []string{
		`twin     remoteEndpoints/ours = "*.example.com"`, `default  tunnels/max = 64`, `default  tunnels/enabled = true`, `twin     log/level = "debug"`,
	} {
		if !strings.Contains(r.stdout, line+"\n") {
			t.Errorf("%s is not in %+v", line, r)
		}
	}
	var v verdict
	if err := json.Unmarshal([]byte(validated(`{}`, "--json", "--explain").stdout), &v); err != nil || len(v.Effective) != 19 {
		t.Errorf("%v, %d rows", err, len(v.Effective))
	}
}

func TestValidate_flags(t *testing.T) {
	for _, flags := range [][]string{{"twin.json"}, {"--jsn"}, {"--json", "--json"}, {"--explain="}, {"\n"}} {
		if r := validated(`{}`, flags...); r.code != exitUsage || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "--help") {
			t.Errorf("%q: %+v", flags, r)
		}
	}
}

// The command runs as a process, with its standard input and its environment.
func TestValidate_process(t *testing.T) {
	cmd := program(t, nil, "validate")
	cmd.Stdin = strings.NewReader(`{"log":{"level":"loud"}}`)
	out, _ := cmd.Output()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "must be one of fatal, error, warning, info, debug, verbose") {
		t.Errorf("exit code %d: %s", cmd.ProcessState.ExitCode(), out)
	}

	const login = "RTSPTUNNEL_CONNECTION_STRING=HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=Y2FuYXJ5"
	r := runs(t, []string{login}, "validate", "--env")
	if d := cmp.Diff(result{0, "faults: 0\n", ""}, r, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
	r = runs(t, []string{login, "RTSPTUNNEL_PROTOCOL=pigeon", "RTSPTUNNEL_PROTOCOLL=mqtt"}, "validate", "--env", "--explain")
	for _, part := range []string{"fault    RTSPTUNNEL_PROTOCOL  CFG_ENV", "fault    RTSPTUNNEL_PROTOCOLL  CFG_ENV", `default  RTSPTUNNEL_PROTOCOL = "auto"`, "environment  RTSPTUNNEL_CONNECTION_STRING"} {
		if r.code != 1 || !strings.Contains(r.stdout, part) {
			t.Errorf("%q is not in %+v", part, r)
		}
	}
	if strings.Contains(r.stdout, "Y2FuYXJ5") || strings.Contains(r.stdout, "pigeon") {
		t.Errorf("a value is printed: %s", r.stdout)
	}
	r = runs(t, []string{login, "https_proxy=canary:canary"}, "validate", "--env")
	if d := cmp.Diff(result{1, "fault    https_proxy  CFG_ENV  is not an http or https URL with at least host:port; hosts that need this proxy cannot be reached\nfaults: 1\n", ""}, r, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
	r = runs(t, nil, "validate", "--env", "--json")
	var v verdict
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || r.code != 1 || len(v.Faults) != 1 || v.Faults[0].Code != reason.ConfigEnvironment {
		t.Errorf("%v %+v", err, r)
	}
}

// No value of a twin is printed, since it may be a secret.
func TestValidate_noSecrets(t *testing.T) {
	doc := `{"desired":{"x":"@@","cameras":{"a":{"host":"u:@@@h"},"b":{"host":"h","password":"@@","port":"@@"},"c":["@@"]},
		"remoteEndpoints":{"a":"wss://u:@@@h/@@"},"proxy":{"url":"http://u:@@@p","noProxy":"@@@"},"tunnels":"@@","log":{"level":"@@"}},"reported":{"x":"@@"}}`
	for _, flags := range [][]string{nil, {"--explain"}, {"--json", "--explain"}} {
		r := validated(strings.ReplaceAll(doc, "@@", "canary"), flags...)
		if strings.Contains(r.stdout+r.stderr, "canary") || r.code != 1 {
			t.Errorf("%v: %+v", flags, r)
		}
	}
}

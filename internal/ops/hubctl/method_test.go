package hubctl_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"rtsptunnel/internal/testkit/hubtest"
)

func TestMethod_call(t *testing.T) {
	e := start(t)
	_, connectionString, _ := e.runSecret(t, "module", "show", "edge1/rtsptunnel", "--connection-string",
		"--hostname", hubtest.HubName, "--gateway", hubtest.GatewayName)
	e.connect(t, connectionString)
	e.stdin = ` {"from": "stdin"} `
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "status 418\n{\n  \"got\": null\n}\n"},
		{[]string{"--payload", `{"n":12345678901234567890}`}, "status 418\n{\n  \"got\": {\n    \"n\": 12345678901234567890\n  }\n}\n"},
		{[]string{"--payload-file", "-"}, "status 418\n{\n  \"got\": {\n    \"from\": \"stdin\"\n  }\n}\n"},
		{[]string{"--payload-file", file(t, "7\n"), "--json", "--timeout", "5s"}, "{\n  \"status\": 418,\n  \"payload\": {\n    \"got\": 7\n  }\n}\n"},
	} {
		if got := e.must(t, append([]string{"method", "call", "edge1/rtsptunnel", "reboot"}, c.args...)...); got != c.want {
			t.Errorf("%v wrote\n%s", c.args, got)
		}
	}
}

func TestMethod_timeouts(t *testing.T) {
	var sent string
	e, stop := startHandler(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		sent = string(b)
		_, _ = io.WriteString(w, `{"status":200,"payload":null}`)
	})
	defer stop()
	for want, args := range map[string][]string{
		`{"connectTimeoutInSeconds":10,"methodName":"reboot","payload":null,"responseTimeoutInSeconds":30}`: nil,
		`{"connectTimeoutInSeconds":0,"methodName":"reboot","payload":null,"responseTimeoutInSeconds":300}`: {"--timeout", "5m", "--connect-timeout", "0s"},
	} {
		e.must(t, append([]string{"method", "call", "d", "reboot"}, args...)...)
		if sent != want {
			t.Errorf("%v sent %s", args, sent)
		}
	}
}

func TestMethod_refusals(t *testing.T) {
	e := start(t)
	const secret = "hunter2hunter2"
	call := []string{"method", "call", "edge1", "reboot"}
	e.refused(t, 1, []string{"invoke reboot on edge1: the hub localhost:", "404 DeviceNotOnline (404103)", "offline", "--connect-timeout"},
		append(slices.Clip(call), "--connect-timeout", "0s")...)
	e.refused(t, 1, []string{"404 DeviceNotFound"}, "method", "call", "missing", "reboot")
	e.refused(t, 1, []string{"400 ArgumentInvalid"}, "method", "call", "edge1", "re/boot")
	for _, c := range []struct {
		word string
		args []string
	}{
		{"--payload is not JSON: invalid character", []string{"--payload", "{" + secret + "}"}},
		{"--payload-file is not JSON", []string{"--payload-file", file(t, secret)}},
		{"--payload-file: open", []string{"--payload-file", "missing.json"}},
		{"exclude each other", []string{"--payload", "1", "--payload-file", "-"}},
		{"whole seconds from 5s to 5m0s", []string{"--timeout", "1s"}},
		{"whole seconds from 0s to 5m0s", []string{"--connect-timeout", "30"}},
		{"whole seconds", []string{"--timeout", "5500ms"}},
	} {
		args := append(slices.Clip(call), c.args...)
		e.refused(t, 2, []string{c.word, "See tunnelctl hub method call --help."}, args...)
		if _, _, stderr := e.run(t, args...); strings.Contains(stderr, secret) {
			t.Errorf("the payload is repeated:\n%s", stderr)
		}
	}
}

package module_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

// canary is in each secret of a site that is not the hub's own.
const canary = "canaryThatNobodyMayEverSee"

// said is what an endpoint says, word by word.
func said(t *testing.T, address, path string) string {
	t.Helper()
	response, err := http.DefaultClient.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Keys, tokens, proxy logins, and what somebody took for a place for a password:
// nothing of them is in the log, at its most talkative level, on standard error, in
// the twin, in an answer, or in what the health endpoints say; neither while the
// module cannot log in nor later.
func TestSecrets_areInNoSink(t *testing.T) {
	t.Parallel()
	s, cam := newSite(t), echo(t)
	s.outside(t, true)
	right := s.connectionString(t, hubtest.GatewayName)
	_, key, _ := strings.Cut(right, "SharedAccessKey=")
	key, _, _ = strings.Cut(key, ";")
	wrong := base64.StdEncoding.EncodeToString([]byte(canary))
	dir, err := os.MkdirTemp("", "x-") // a longer path is long enough to look like a key
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "connection")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(right, key, wrong, 1))
	login := url.UserPassword("site", canary).String()
	maps.Copy(s.env, map[string]string{
		"RTSPTUNNEL_CONNECTION_STRING_FILE": name, "RTSPTUNNEL_CA_FILE": s.CAFile(), "RTSPTUNNEL_METRICS_LISTEN": "127.0.0.1:0",
		"https_proxy":         "http://" + login + "@127.0.0.1:1",
		"RTSPTUNNEL_PASSWORD": canary, "RTSPTUNNEL_PROTOCOL": canary, "RuntimeLogLevel": "verbose",
	})
	cmd := s.process(t)
	stdout, stderr := logtest.New(), logtest.New()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var spoken strings.Builder // by endpoints and in answers
	address := healthAddressJSON(t, stdout)
	stdout.Await(t, "HUB_LOGIN", 2)
	spoken.WriteString(said(t, address, "/livez") + said(t, address, "/readyz"))

	version := s.patch(t, map[string]any{"cameras": map[string]any{
		"good":  at(cam, 554),
		"front": map[string]any{"host": "admin:" + canary + "@192.0.2.1", "password": canary},
		"yard":  map[string]any{"host": "192.0.2.1", "port": canary},
	}})
	write(right)
	s.invoke(t, "reboot", `{"password":"`+canary+`"}`)
	s.acknowledged(t, version)
	for _, call := range []string{
		payload("wss://remote.rtsptunnel.test/", canary, 554), payload("wss://"+login+"@remote.rtsptunnel.test/", canary, 554),
		`{"localPort":"` + canary + `"}`, `"` + canary + `"`,
	} {
		_, answer := s.Invoke(t, "tunnelOpen", call)
		spoken.WriteString(answer)
	}
	spoken.WriteString(said(t, address, "/livez") + said(t, address, "/readyz"))
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, cmd)(os.Interrupt)
	noSecret(t, "standard output", stdout.String(), canary, wrong, key)
	noSecret(t, "standard error", stderr.String(), canary, wrong, key)
	noSecret(t, "the twin", string(tw.Properties.Reported), canary, wrong, key)
	noSecret(t, "endpoints and answers", spoken.String(), canary, wrong, key)
	for _, want := range []string{"HUB_LOGIN", "direct method refused", "PROXY_DOWN", "RTSPTUNNEL_PASSWORD", "desired property not taken", "rtsptunnel ended"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q was not tried:\n%s", want, stdout)
		}
	}
}

// noSecret fails the test if text holds one of the secrets, in itself or encoded, or
// something that looks like one.
func noSecret(t *testing.T, sink, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		login := base64.StdEncoding.EncodeToString([]byte("site:" + secret))
		for _, form := range []string{secret, url.QueryEscape(secret), login, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")} {
			if strings.Contains(text, form) {
				t.Errorf("%s holds %q:\n%s", sink, form, text)
			}
		}
	}
	if strings.Contains(text, "SharedAccess") {
		t.Errorf("%s holds a token or a connection string:\n%s", sink, text)
	}
	logtest.NoSecret(t, text)
}

// healthAddressJSON is healthAddress for a log outside IoT Edge.
func healthAddressJSON(t *testing.T, log *logtest.Record) string {
	t.Helper()
	log.Await(t, "health is served", 1)
	for line := range strings.Lines(log.String()) {
		var record struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &record) == nil && strings.Contains(record.Msg, "health is served") {
			return record.Address
		}
	}
	t.Fatalf("no address:\n%s", log)
	return ""
}

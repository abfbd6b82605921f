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

// canary is part of each secret in a test, except the hub's own.
const canary = "canaryThatMustNeverBeSeen"

// body returns the body of an endpoint's response.
func body(t *testing.T, address, path string) string {
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

// secretSite is a site with secrets in all its sources, and the outputs of its module.
type secretSite struct {
	*site
	file           string // with the connection string
	right          string // the connection string
	secrets        []string
	login          string // of proxies, for a URL
	stdout, stderr *logtest.Record
	responses      strings.Builder // of endpoints and methods
}

// newSecretSite returns a site whose connection string has a wrong key.
func newSecretSite(t *testing.T) *secretSite {
	t.Helper()
	s := &secretSite{site: newSite(t), stdout: logtest.New(), stderr: logtest.New(), login: url.UserPassword("site", canary).String()}
	s.outside(t, true)
	s.right = s.connectionString(t, hubtest.GatewayName)
	_, key, _ := strings.Cut(s.right, "SharedAccessKey=")
	key, _, _ = strings.Cut(key, ";")
	wrong := base64.StdEncoding.EncodeToString([]byte(canary))
	s.secrets = []string{canary, wrong, key}
	dir, err := os.MkdirTemp("", "x-") // a longer path looks like a key
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.file = filepath.Join(dir, "connection")
	s.write(t, strings.Replace(s.right, key, wrong, 1))
	maps.Copy(s.env, map[string]string{
		"RTSPTUNNEL_CONNECTION_STRING_FILE": s.file, "RTSPTUNNEL_CA_FILE": s.CAFile(), "RTSPTUNNEL_METRICS_LISTEN": "127.0.0.1:0",
		"https_proxy":         "http://" + s.login + "@127.0.0.1:1",
		"RTSPTUNNEL_PASSWORD": canary, "RTSPTUNNEL_PROTOCOL": canary, "RuntimeLogLevel": "verbose",
	})
	return s
}

// write writes the file with the connection string.
func (s *secretSite) write(t *testing.T, connectionString string) {
	t.Helper()
	if err := os.WriteFile(s.file, []byte(connectionString), 0o600); err != nil {
		t.Fatal(err)
	}
}

// calls sends secrets in a twin and in methods, after the module can log in.
func (s *secretSite) calls(t *testing.T) {
	t.Helper()
	version := s.patch(t, map[string]any{"cameras": map[string]any{
		"good":  at(echo(t), 554),
		"front": map[string]any{"host": "admin:" + canary + "@192.0.2.1", "password": canary},
		"yard":  map[string]any{"host": "192.0.2.1", "port": canary},
	}})
	s.write(t, s.right)
	s.invoke(t, "reboot", `{"password":"`+canary+`"}`)
	s.acknowledged(t, version)
	for _, call := range []string{
		payload("wss://remote.rtsptunnel.test/", canary, 554), payload("wss://"+s.login+"@remote.rtsptunnel.test/", canary, 554),
		`{"localPort":"` + canary + `"}`, `"` + canary + `"`,
	} {
		_, response := s.Invoke(t, "tunnelOpen", call)
		s.responses.WriteString(response)
	}
}

// No output holds a key, a token, a proxy's login, or a password in a wrong place: not
// the log at its lowest level, standard error, the twin, a response, or a health
// endpoint. This holds before and after the module can log in.
func TestSecrets_areInNoSink(t *testing.T) {
	t.Parallel()
	s := newSecretSite(t)
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = s.stdout, s.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := healthAddressJSON(t, s.stdout)
	s.stdout.Await(t, "HUB_LOGIN", 2)
	s.responses.WriteString(body(t, address, "/livez") + body(t, address, "/readyz"))
	s.calls(t)
	s.responses.WriteString(body(t, address, "/livez") + body(t, address, "/readyz"))
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	ends(t, cmd)(os.Interrupt)
	noSecret(t, "standard output", s.stdout.String(), s.secrets...)
	noSecret(t, "standard error", s.stderr.String(), s.secrets...)
	noSecret(t, "the twin", string(tw.Properties.Reported), s.secrets...)
	noSecret(t, "endpoints and methods", s.responses.String(), s.secrets...)
	for _, want := range []string{"HUB_LOGIN", "direct method refused", "PROXY_DOWN", "RTSPTUNNEL_PASSWORD", "desired property rejected", "rtsptunnel ended"} {
		if !strings.Contains(s.stdout.String(), want) {
			t.Errorf("%q was not tried:\n%s", want, s.stdout)
		}
	}
}

// noSecret fails the test if text holds one of the secrets, as it is or encoded, or a word
// that looks like a secret.
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

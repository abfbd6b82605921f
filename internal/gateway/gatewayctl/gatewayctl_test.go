package gatewayctl_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/gatewayctl"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// result is what one run came to.
type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := gatewayctl.Run(t.Context(), args, environ, strings.NewReader(""), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// write writes a file of a new folder.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProgram(t *testing.T) {
	good, bad := write(t, "log: { level: debug }\n"), write(t, "log: { level: canary }\n")
	for name, c := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"help":              {[]string{"--help"}, 0, "\n  validate FILE...", ""},
		"run is default":    {nil, 1, "", "tunnelgateway: TUNNELGATEWAY_HUB_CONNECTION_STRING: is not set"},
		"flags of run":      {[]string{"--config", bad}, 1, "", ":1:15: log.level: must be one of debug, info, warn, error\n"},
		"unknown":           {[]string{"validte"}, 2, "", `unknown command "validte", did you mean "validate"?`},
		"valid":             {[]string{"validate", good}, 0, good + " is valid: 0 hubs, 0 cameras, 0 tokens\n", ""},
		"valid by --config": {[]string{"validate", "--config", good}, 0, " is valid", ""},
		"invalid":           {[]string{"validate", bad}, 1, "", bad + ":1:15: log.level: must be one of"},
		"JSON":              {[]string{"validate", "--json", bad}, 1, `"column": 15`, ""},
		"check":             {[]string{"check", "--config", bad}, 1, "", "log.level"},
		"schema":            {[]string{"schema"}, 0, config.Schema, ""},
		"version":           {[]string{"version"}, 0, "tunnelgateway dev", ""},
		"secret":            {[]string{"open", "rtt_0123456789012345678901234567890123456789"}, 2, "", "looks like a token"},
		"password":          {[]string{"open", "rtsp://me:canary@h/"}, 2, "", "looks like a token, a password"},
		"nothing runs":      {[]string{"healthcheck", "--config", write(t, "listen: { private: { address: '127.0.0.1:1' } }\n")}, 1, "", "127.0.0.1:1"},
		"role":              {[]string{"token", "new", "--role", "boss"}, 2, "", "neither admin nor viewer"},
		"glob":              {[]string{"token", "new", "--camera", "edge1"}, 2, "", "--camera"},
		"name":              {[]string{"token", "new", "--name", "a b"}, 2, "", "--name"},
		"past":              {[]string{"token", "new", "--expires", "2001-01-01T00:00:00Z"}, 2, "", "is in the past"},
		"days":              {[]string{"token", "new", "--expires", "0d"}, 2, "", "want 1d to"},
		"time":              {[]string{"token", "new", "--expires", "tomorrow"}, 2, "", "is neither a time"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, nil, c.args...)
			if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) || (c.stdout == "") != (got.stdout == "") {
				t.Errorf("got %+v", got)
			}
			if strings.Contains(got.stdout+got.stderr, "canary") || strings.Contains(got.stderr, "rtt_0") {
				t.Errorf("a value is repeated: %+v", got)
			}
		})
	}
}

// The entry of a new token is valid in a file, and has the token's hash.
func TestTokenNew(t *testing.T) {
	got := run(t, nil, "token", "new", "--name", "wall", "--camera", "edge1/*", "--camera", "it's/*", "--expires", "30d")
	token := regexp.MustCompile(`rtt_\S+`).FindString(got.stdout)
	entry := regexp.MustCompile(`(?m)^  - .*$`).FindString(got.stdout)
	c, err := config.Load(config.Options{File: write(t, "access:\n  tokens:\n"+entry+"\n")})
	if err != nil {
		t.Fatalf("%v in\n%s", err, got.stdout)
	}
	hash, err := access.HashOf(token)
	if err != nil {
		t.Fatal(err)
	}
	if made := c.Access.Tokens[0]; made.SHA256 != hash.String() || made.Name != "wall" || made.Role != "viewer" || len(made.Cameras) != 2 || made.Expires.IsZero() {
		t.Errorf("got %+v", made)
	}

	var body struct {
		Token string
		Entry struct{ Role, SHA256 string }
	}
	got = run(t, nil, "token", "new", "--role", "admin", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &body); err != nil || body.Entry.Role != "admin" {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	if hash, err := access.HashOf(body.Token); err != nil || hash.String() != body.Entry.SHA256 {
		t.Errorf("the entry's hash is of another token: %v", err)
	}
}

func TestCheck(t *testing.T) {
	file := write(t, "data: data\nlisten: { public: [{ address: '127.0.0.1:0', cert: none, key: none }], rtsp: { address: '127.0.0.1:0' }, private: { address: '127.0.0.1:0' } }\n"+
		"cameras: { lab/a: { url: 'rtsp://127.0.0.1:1/' } }\npublicURL: https://127.0.0.1\n")
	got := run(t, nil, "check", "--config", file)
	if got.code != 1 || !regexp.MustCompile(`(?m)^failed +listen\.public\[0\]\.cert .*none`).MatchString(got.stdout) ||
		!regexp.MustCompile(`(?m)^ok +listen\.rtsp .* is free`).MatchString(got.stdout) || !regexp.MustCompile(`(?m)^ok +publicURL `).MatchString(got.stdout) {
		t.Errorf("got %+v", got)
	}
}

// A certificate that ends soon may be for another name, too.
func TestCheck_certificate(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"other.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	both := write(t, string(text))
	got := run(t, nil, "check", "--config", write(t, "data: data\npublicURL: https://127.0.0.1\nlisten: { public: [{ address: '127.0.0.1:0', cert: '"+both+"', key: '"+both+"' }], "+
		"rtsp: { address: '127.0.0.1:0' }, private: { address: '127.0.0.1:0' } }\n"))
	if got.code != 1 || !regexp.MustCompile(`(?m)^failed +listen\.public\[0\]\.cert .* is for other\.example, not for 127\.0\.0\.1 of publicURL`).MatchString(got.stdout) {
		t.Errorf("got %+v", got)
	}
}

// A camera is diagnosed where no gateway runs.
func TestOpen(t *testing.T) {
	file := write(t, "data: data\nlisten: { public: [{ address: '127.0.0.1:0' }] }\ncameras: { lab/a: { url: 'rtsp://127.0.0.1:1/' } }\n")
	got := run(t, nil, "open", "--config", file, "lab/a")
	if got.code != 1 || !regexp.MustCompile(`(?m)^failed +camera .*\(CAM_REFUSED\)`).MatchString(got.stdout) {
		t.Errorf("got %+v", got)
	}
	if got := run(t, nil, "open", "--config", file, "lab/b"); got.code != 1 || !strings.Contains(got.stderr, "cameras: 1 lab/a (CAM_UNKNOWN)") {
		t.Errorf("an unknown camera: %+v", got)
	}
}

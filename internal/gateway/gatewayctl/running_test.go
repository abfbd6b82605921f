package gatewayctl_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/gatewayctl"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// files are a gateway's: its configuration with one camera, a certificate, and a token.
type files struct{ config, ca, token string }

func makeFiles(t *testing.T) files {
	t.Helper()
	camera, err := rtsptest.Start(rtsptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(camera.Close)
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	token, hash := access.Generate()
	dir, public := t.TempDir(), porttest.Reserve(t)
	for name, text := range map[string]string{
		"tls.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		"tls.key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"ca.pem":  string(ca.CertPEM()),
		"token":   token + "\n",
		"gateway.yaml": "listen: { public: [{ address: '" + public + "', cert: tls.crt, key: tls.key }], rtsp: { address: '127.0.0.1:0' }, private: { address: '" + porttest.Reserve(t) + "' } }\n" +
			"publicURL: https://" + public + "\ndata: data\nlog: { format: json }\ncameras: { lab/front: { url: '" + camera.URL() + "' } }\n" +
			"access: { tokens: [{ name: ops, role: admin, sha256: '" + hash.String() + "' }] }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files{filepath.Join(dir, "gateway.yaml"), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")}
}

// A running gateway answers healthcheck, and open asks it. SIGHUP makes it read its file.
func TestRun(t *testing.T) {
	f := makeFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	log, errs := logtest.New(), logtest.New()
	ended := make(chan int, 1)
	go func() {
		ended <- gatewayctl.Run(ctx, []string{"--config", f.config}, nil, strings.NewReader(""), log, errs)
	}()
	log.AwaitFields(t, 1, "message=health is served")

	if got := run(t, nil, "healthcheck", "--config", f.config); got.code != 0 {
		t.Errorf("healthcheck: %+v", got)
	}
	got := run(t, nil, "open", "--config", f.config, "lab/front")
	if got.code != 1 || !strings.Contains(got.stderr, "--token-file") {
		t.Errorf("open without a token: %+v", got)
	}
	ask := []string{"--config", f.config, "--token-file", f.token, "--ca-file", f.ca}
	got = run(t, nil, append([]string{"open", "lab/front"}, ask...)...)
	if got.code != 0 || !regexp.MustCompile(`(?m)^ok +media `).MatchString(got.stdout) {
		t.Errorf("open: %+v", got)
	}
	if got := run(t, nil, append([]string{"open", "lab/none"}, ask...)...); got.code != 1 || !strings.Contains(got.stderr, "CAM_UNKNOWN") {
		t.Errorf("open of an unknown camera: %+v", got)
	}
	got = run(t, nil, append([]string{"check", "--camera", "lab/front"}, ask...)...)
	if got.code != 0 || !strings.Contains(got.stdout, "a gateway runs with it") || !regexp.MustCompile(`(?m)^ok +lab/front media `).MatchString(got.stdout) {
		t.Errorf("check: %+v", got)
	}

	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.config, bytes.ReplaceAll(text, []byte("lab/front"), []byte("lab/back")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	log.AwaitFields(t, 1, "message=configuration is in force")
	cancel()
	if code := <-ended; code != 0 || errs.String() != "" {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/certs"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) {
	// pebble cannot be stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"))
}

// site is a folder with the two files, and an authority that issues their content.
type site struct {
	t         *testing.T
	ca        *localca.CA
	cert, key string
}

func newSite(t *testing.T) *site {
	t.Helper()
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &site{t, ca, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

// everyName is in all certificates, so that a client can verify each of them.
const everyName = "gateway"

// issue returns a new certificate and its key, in PEM.
func (s *site) issue(name string) (cert, key string) {
	s.t.Helper()
	pair, err := s.ca.Issue(name, everyName)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		s.t.Fatal(err)
	}
	var chain strings.Builder
	for _, c := range pair.Certificate {
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c}))
	}
	return chain.String(), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (s *site) write(cert, key string) {
	s.t.Helper()
	for path, text := range map[string]string{s.cert: cert, s.key: key} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) load() *certs.Pair {
	s.t.Helper()
	s.write(s.issue("first"))
	p, err := certs.Load(s.cert, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// served returns the name of the certificate that a client gets, over a connection.
func (s *site) served(p *certs.Pair, client *tls.Config) (name, protocol string, err error) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	server := tls.Server(there, p.Config("h2", "http/1.1"))
	ended := make(chan struct{})
	go func() { _ = server.Handshake(); close(ended) }()
	client.RootCAs, client.ServerName = s.ca.Pool(), everyName
	conn := tls.Client(here, client)
	err = conn.Handshake()
	here.Close()
	<-ended
	if err != nil {
		return "", "", err
	}
	state := conn.ConnectionState()
	return state.PeerCertificates[0].DNSNames[0], state.NegotiatedProtocol, nil
}

func (s *site) checkServed(p *certs.Pair, want string) {
	s.t.Helper()
	if name, _, err := s.served(p, &tls.Config{}); name != want {
		s.t.Errorf("clients get the certificate of %q, %v, want %q", name, err, want)
	}
}

func TestReload(t *testing.T) {
	s := newSite(t)
	p := s.load()
	s.checkServed(p, "first")
	if changed, err := p.Reload(); changed || err != nil {
		t.Errorf("unchanged files: %v, %v", changed, err)
	}
	s.write(s.issue("second"))
	s.checkServed(p, "first")
	if changed, err := p.Reload(); !changed || err != nil {
		t.Errorf("a new pair: %v, %v", changed, err)
	}
	s.checkServed(p, "second")
	if state := p.State(); state.Names[0] != "second" || state.Fault != nil || !state.NotAfter.After(time.Now()) {
		t.Errorf("state %+v", state)
	}
}

// A pair that is not usable leaves the last good one in force, and no error shows a key.
func TestReload_keepsLastGood(t *testing.T) {
	s := newSite(t)
	p := s.load()
	cert, key := s.issue("second")
	otherCert, _ := s.issue("third")
	for name, files := range map[string][2]string{
		"no match":     {otherCert, key},
		"no key":       {cert, ""},
		"a broken key": {cert, strings.Replace(key, "A", "B", 3)},
		"text":         {"x", key},
		"swapped":      {key, cert},
		"huge":         {cert + strings.Repeat("\n", 1<<20), key},
	} {
		s.write(files[0], files[1])
		changed, err := p.Reload()
		if changed || err == nil || p.State().Fault == nil {
			t.Errorf("%s: %v, %v", name, changed, err)
			continue
		}
		logtest.NoSecret(t, strings.ReplaceAll(err.Error(), filepath.Dir(s.cert), ""))
		s.checkServed(p, "first")
	}
	if err := os.Remove(s.key); err != nil {
		t.Fatal(err)
	}
	if changed, err := p.Reload(); changed || err == nil {
		t.Errorf("without a file: %v, %v", changed, err)
	}
	s.write(cert, key)
	if changed, err := p.Reload(); !changed || err != nil || p.State().Fault != nil {
		t.Errorf("whole again: %v, %v", changed, err)
	}
	s.checkServed(p, "second")
}

// An expired certificate does not replace one that is valid, but one that is expired, too.
func TestReload_expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		oldCert, oldKey := s.issue("old")
		<-time.After(366 * 24 * time.Hour)
		p := s.load()
		s.write(oldCert, oldKey)
		if changed, err := p.Reload(); changed || err == nil {
			t.Errorf("an expired pair: %v, %v", changed, err)
		}
		<-time.After(366 * 24 * time.Hour)
		if changed, err := p.Reload(); !changed || err != nil {
			t.Errorf("an expired pair in place of another: %v, %v", changed, err)
		}
		if _, err := certs.Load(s.cert, s.key); err != nil {
			t.Errorf("load an expired pair: %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	s := newSite(t)
	p := s.load()
	if _, protocol, err := s.served(p, &tls.Config{NextProtos: []string{"http/1.1", "h2"}}); protocol != "h2" {
		t.Errorf("protocol %q, %v", protocol, err)
	}
	if _, _, err := s.served(p, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is served")
	}
}

// Run replaces the certificate. It logs a fault once, and not before a second reading.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.load()
		log := logtest.New()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.Run(ctx, zerolog.New(log)); close(ended) }()

		s.write(s.issue("second"))
		<-time.After(15 * time.Second)
		s.checkServed(p, "second")
		log.AwaitFields(t, 1, "message=certificate replaced", "file="+s.cert)

		_, key := s.issue("third")
		if err := os.WriteFile(s.key, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		if n := log.CountFields(t, "level=error"); n != 0 {
			t.Errorf("%d errors after the first reading", n)
		}
		<-time.After(time.Minute)
		if n := log.CountFields(t, "level=error"); n != 1 {
			t.Errorf("%d errors, want 1", n)
		}
		s.checkServed(p, "second")
		cancel()
		<-ended
	})
}

package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/certs"
	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/testkit/logtest"
)

const acmeHost = "gateway.example.com"

// acmeServer is pebble, Let's Encrypt's small ACME server for tests. It takes tlsPort of
// loopback for port 443 of all names.
type acmeServer struct {
	directory string
	transport http.RoundTripper
	roots     *x509.CertPool // of what it issues
}

func newACMEServer(t *testing.T, tlsPort int) acmeServer {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0") // a client would wait before it tries again
	logger, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	front := wfe.New(logger, store, va.New(logger, 1, tlsPort, true, resolver(t), store), authority, []string{"ca.example.com"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(authority.GetRootCert(0).Cert)
	return acmeServer{server.URL + wfe.DirectoryPath, server.Client().Transport, roots}
}

// resolver serves DNS on TCP: all names are at 127.0.0.1.
func resolver(t *testing.T) (address string) {
	t.Helper()
	ln := listen(t)
	server := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if question := q.Question[0]; question.Qtype == dns.TypeA {
			header := dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(answer)
	})}
	started, ended := make(chan struct{}), make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go func() { _ = server.ActivateAndServe(); close(ended) }()
	<-started
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serve serves HTTPS with the certificate of an ACME.
func serve(t *testing.T, ln net.Listener, options certs.ACMEOptions) *certs.ACME {
	t.Helper()
	a, err := certs.NewACME(options)
	if err != nil {
		t.Fatal(err)
	}
	server := httpd.Serve(tls.NewListener(ln, a.Config("h2", "http/1.1")), http.NotFoundHandler(), zerolog.Nop())
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// run runs an ACME until the test ends.
func run(t *testing.T, a *certs.ACME) (record *logtest.Record, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	record = logtest.New()
	go func() { a.Run(ctx, zerolog.New(record)); close(ended) }()
	end = func() { cancel(); <-ended }
	t.Cleanup(end)
	return record, end
}

// shake makes a handshake with a verified certificate, and returns the protocol.
func shake(ln net.Listener, roots *x509.CertPool, host string) (protocol string, err error) {
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, ServerName: host, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.ConnectionState().NegotiatedProtocol, nil
}

// fails is a transport without a server.
type fails struct{ asked atomic.Int64 }

func (f *fails) RoundTrip(*http.Request) (*http.Response, error) {
	f.asked.Add(1)
	return nil, errors.New("no server")
}

// A certificate comes from the ACME server, which checks our answer to its challenge. The next
// start takes it from the folder.
func TestACME(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "acme")
	ln := listen(t)
	server := newACMEServer(t, ln.Addr().(*net.TCPAddr).Port)
	a := serve(t, ln, certs.ACMEOptions{Host: acmeHost, Folder: folder, Directory: server.directory, Transport: server.transport})
	if _, err := shake(ln, server.roots, acmeHost); err == nil || a.State().Fault == nil {
		t.Error("there is a certificate before Run")
	}
	record, end := run(t, a)
	record.AwaitFields(t, 1, "message=certificate obtained", "name="+acmeHost)
	if protocol, err := shake(ln, server.roots, acmeHost); err != nil || protocol != "h2" {
		t.Errorf("protocol %q, %v", protocol, err)
	}
	if state := a.State(); state.Fault != nil || len(state.Names) != 1 || state.Names[0] != acmeHost || !state.NotAfter.After(time.Now()) {
		t.Errorf("state %+v", state)
	}
	if _, err := shake(ln, server.roots, "other.example.com"); err == nil {
		t.Error("there is a certificate for another name")
	}
	end()
	logtest.NoSecret(t, record.String())

	files, err := os.ReadDir(folder)
	if err != nil || len(files) < 2 {
		t.Errorf("the folder has %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
	ln = listen(t)
	again := serve(t, ln, certs.ACMEOptions{Host: acmeHost, Folder: folder, Transport: new(fails)})
	record, _ = run(t, again)
	record.AwaitFields(t, 1, "message=certificate obtained")
	if _, err := shake(ln, server.roots, acmeHost); err != nil {
		t.Errorf("after a new start: %v", err)
	}
}

func TestACME_noServer(t *testing.T) {
	ln, server := listen(t), new(fails)
	a := serve(t, ln, certs.ACMEOptions{Host: acmeHost, Folder: t.TempDir(), Transport: server})
	record, end := run(t, a)
	record.AwaitFields(t, 1, "level=error", "name="+acmeHost, "retryInMs=120000")
	if state := a.State(); state.Fault == nil || state.Names != nil {
		t.Errorf("state %+v", state)
	}
	// A client's handshake does not ask the server again.
	if _, err := shake(ln, nil, acmeHost); err == nil || server.asked.Load() != 1 {
		t.Errorf("handshake: %v, the server was asked %d times", err, server.asked.Load())
	}
	end()
}

// stuck is a transport whose server does not answer.
type stuck struct{ asked chan struct{} }

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	close(s.asked)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Run ends although the ACME server does not answer.
func TestACME_endsWhileAsking(t *testing.T) {
	server := stuck{make(chan struct{})}
	a, err := certs.NewACME(certs.ACMEOptions{Host: acmeHost, Folder: t.TempDir(), Transport: server})
	if err != nil {
		t.Fatal(err)
	}
	record, end := run(t, a)
	<-server.asked
	end()
	if record.String() != "" {
		t.Errorf("the log has %s", record)
	}
}

func TestNewACME_names(t *testing.T) {
	for host, want := range map[string]bool{acmeHost: true, "": false, "localhost": false, "192.0.2.1": false, "2001:db8::1": false} {
		if _, err := certs.NewACME(certs.ACMEOptions{Host: host, Folder: t.TempDir()}); (err == nil) != want {
			t.Errorf("%q: %v", host, err)
		}
	}
}

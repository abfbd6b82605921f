package httpd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
)

// pipes is a listener whose clients connect in memory, so that a test has its own clock.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that does not send its TLS handshake, its headers or its body is closed. A handler
// may run longer than these times, and its context does not end.
func TestServe_times(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want time.Duration // until the connection ends
	}{
		"silent":          {"", 10 * time.Second},
		"partial headers": {"GET / HTTP/1.1\r\nHost:", 10 * time.Second},
		"no body":         {"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 30 * time.Second},
		"an ignored body": {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 30 * time.Second},
		"chunks":          {"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 30 * time.Second},
		"a long handler":  {"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 10 * time.Minute},
		"with a body":     {"POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab", 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkTime(t, nil, c.text, c.want) })
		})
	}
	config, _ := testTLS(t)
	for name, hello := range map[string]string{"no TLS": "", "partial TLS": "\x16\x03\x01\x01"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkTime(t, config, hello, 10*time.Second) })
		})
	}
}

// testTLS returns the configurations of a server and its clients.
func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	source := httptest.NewTLSServer(http.NotFoundHandler())
	defer source.Close()
	roots := x509.NewCertPool()
	roots.AddCert(source.Certificate())
	return &tls.Config{Certificates: source.TLS.Certificates, MinVersion: tls.VersionTLS12},
		&tls.Config{RootCAs: roots, ServerName: "example.com", MaxVersion: tls.VersionTLS12}
}

// A client that has TLS and reads nothing, not even TLS's last message, yields at once.
func TestServeLimited_yieldsWithoutTLSsLastMessage(t *testing.T) {
	config, clients := testTLS(t)
	synctest.Test(t, func(t *testing.T) {
		ln := newPipes()
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		server := httpd.ServeLimited(tls.NewListener(ln, config), handler, zerolog.Nop(), httpd.Limits{Connections: 1, Within: time.Hour})
		defer server.Close()
		connect := func() *tls.Conn {
			near, far := net.Pipe()
			ln.accepted <- far
			secured := tls.Client(near, clients)
			if err := secured.Handshake(); err != nil {
				t.Fatal(err)
			}
			return secured
		}
		silent := connect()
		defer silent.NetConn().Close()
		begin := time.Now()
		second := connect()
		defer second.NetConn().Close()
		if _, err := io.WriteString(second, get("/")); err != nil {
			t.Fatal(err)
		}
		checkOK(t, second)
		if took := time.Since(begin); took > 0 {
			t.Errorf("the second client waited for %s", took)
		}
	})
}

// checkTime checks when a connection ends whose client sends only text; with TLS if config
// is not nil.
func checkTime(t *testing.T, config *tls.Config, text string, want time.Duration) {
	t.Helper()
	ln := newPipes()
	var listener net.Listener = ln
	if config != nil {
		listener = tls.NewListener(ln, config)
	}
	server := httpd.Serve(listener, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/now" {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != "/long" {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Minute)
		defer cancel()
		<-ctx.Done()
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request of a long handler: %v", err)
		}
	}), zerolog.Nop())
	defer server.Close()
	near, far := net.Pipe()
	ln.accepted <- far
	begin := time.Now()
	if _, err := io.WriteString(near, text); err != nil && text != "" {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, near)
	near.Close()
	if took := time.Since(begin).Truncate(time.Second); took != want {
		t.Errorf("the connection ended after %s, want %s", took, want)
	}
}

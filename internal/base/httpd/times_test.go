package httpd_test

import (
	"context"
	"io"
	"net"
	"net/http"
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

// A client that does not send its headers or its body is closed. A handler may run longer
// than both times, and its context does not end.
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
			synctest.Test(t, func(t *testing.T) { checkTime(t, c.text, c.want) })
		})
	}
}

func checkTime(t *testing.T, text string, want time.Duration) {
	t.Helper()
	ln := newPipes()
	server := httpd.Serve(ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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

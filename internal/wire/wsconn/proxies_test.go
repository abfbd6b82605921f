package wsconn_test

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/wire/wsconn"
)

// sayAndEnd returns a handler that writes words to the connection and ends it in order: a
// connection that is closed with unread bytes is reset.
func sayAndEnd(words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, words)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}

// A failing proxy never causes a direct connection, and its answer is never passed on as
// the endpoint's.
func TestDial_noDirectFallback(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://127.0.0.1:1/")
			w.Header().Set("Proxy-Authenticate", "NTLM")
			w.WriteHeader(code)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc // nil: the proxy refuses connections
		want    reason.Code
	}{
		"down":             {nil, reason.ProxyDown},
		"407":              {status(407), reason.ProxyLogin},
		"401":              {status(401), reason.ProxyLogin},
		"403":              {status(403), reason.ProxyHTTP},
		"302":              {status(302), reason.ProxyHTTP},
		"502":              {status(502), reason.ProxyHTTP},
		"hangs up":         {sayAndEnd(""), reason.ProxyDown},
		"garbage":          {sayAndEnd("SSH-2.0-site\r\n"), reason.ProxyDown},
		"200 and hangs up": {sayAndEnd("HTTP/1.1 200 OK\r\n\r\n"), reason.RemoteUpgrade},
		"200 and garbage":  {sayAndEnd("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 407 Proxy\r\n\r\n"), reason.RemoteUpgrade},
		"silent":           {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, reason.ProxyDown},
	} {
		for _, secure := range []bool{false, true} {
			scheme := map[bool]string{false: "http", true: "https"}[secure]
			t.Run(scheme+" "+name, func(t *testing.T) {
				u, roots := faultyProxy(t, c.handler, secure)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "silent" {
					ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
				}
				_, err := wsconn.Dialer{Roots: roots, Proxy: always(u)}.Dial(ctx, parsed("wss://"+undialed(t)+"/"), nil)
				if reason.Of(err) != c.want {
					t.Errorf("reason %s, want %s (%v)", reason.Of(err), c.want, err)
				}
			})
		}
	}
	t.Run("untrusted certificate", func(t *testing.T) {
		u, _ := faultyProxy(t, status(200), true)
		_, err := wsconn.Dialer{Roots: x509.NewCertPool(), Proxy: always(u)}.Dial(t.Context(), parsed("wss://"+undialed(t)+"/"), nil)
		if reason.Of(err) != reason.ProxyDown {
			t.Errorf("%v", err)
		}
	})
}

// undialed returns an address that fails the test when it is dialed.
func undialed(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failOnConnect(t, ln)
	return ln.Addr().String()
}

// failOnConnect fails the test when ln accepts a connection. It closes ln at the end.
func failOnConnect(t *testing.T, ln net.Listener) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Errorf("%s was dialed", ln.Addr())
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
}

// faultyProxy starts a proxy with this handler, or one that refuses connections if it is
// nil. It returns the roots that trust the proxy.
func faultyProxy(t *testing.T, handler http.HandlerFunc, secure bool) (*url.URL, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	pool := x509.NewCertPool()
	if secure {
		srv.StartTLS()
		pool = roots(srv)
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if handler == nil {
		u.Host = porttest.Reserve(t)
	}
	return u, pool
}

// A WebSocket through an https proxy: TLS within TLS delivers every byte.
func TestDial_throughAnHTTPSProxy(t *testing.T) {
	accepted := make(chan *wsconn.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	defer srv.Close()
	site := httptest.NewTLSServer(connectProxy(t, make(chan *http.Request, 4)))
	defer site.Close()
	u, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	both := roots(srv)
	both.AddCert(site.Certificate())
	c, err := wsconn.Dialer{Roots: both, Proxy: always(u)}.Dial(t.Context(), wss(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far := <-accepted
	defer far.Close()
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 3)
	}
	wrote := make(chan error, 1)
	go func() { _, err := c.Write(sent); wrote <- err }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(far, got); err != nil || string(got) != string(sent) {
		t.Errorf("received other bytes than were sent (%v)", err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

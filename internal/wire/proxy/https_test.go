package proxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/proxy"
)

// secured is site with TLS, with this configuration and a certificate for name.
func secured(t *testing.T, name string, cfg *tls.Config, talk func(*http.Request, net.Conn)) (*url.URL, *x509.CertPool) {
	t.Helper()
	ca, err := localca.New("test proxy CA")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{cert}
	u := siteOn(t, tls.NewListener(listen(t, "127.0.0.1:0"), cfg), talk)
	u.Scheme = "https"
	return u, ca.Pool()
}

// The request, its credentials and the later bytes are all sent within TLS.
func TestDial_httpsProxy(t *testing.T) {
	talk, asked := answer(t, "HTTP/1.1 200 OK\r\n\r\nearly")
	u, roots := secured(t, "127.0.0.1", &tls.Config{MinVersion: tls.VersionTLS12}, talk)
	conn, err := proxy.Dial(t.Context(), u, "camera.invalid:443", roots)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if user, password, _ := basic((<-asked).Header.Get("Proxy-Authorization")); user != "site" || password != "pass:word" {
		t.Errorf("the proxy got the credentials %s, %s", user, password)
	}
	checkEcho(t, conn)
}

// A proxy with an invalid certificate receives neither credentials nor a request.
func TestDial_httpsProxyThatIsNotTrusted(t *testing.T) {
	talk := func(r *http.Request, _ net.Conn) { t.Errorf("the proxy was asked: %s %v", r.Method, r.Header) }
	for name, c := range map[string]struct {
		certificate string
		old, none   bool
		want        string
	}{
		"unknown authority": {"127.0.0.1", false, true, "unknown authority"},
		"another name":      {"proxy.example", false, false, "127.0.0.1"},
		"TLS 1.1":           {"127.0.0.1", true, false, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &tls.Config{MinVersion: tls.VersionTLS12}
			if c.old {
				cfg = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
			}
			u, roots := secured(t, c.certificate, cfg, talk)
			if c.none {
				roots = x509.NewCertPool()
			}
			_, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", roots)
			if reason.Of(err) != reason.ProxyDown || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "proxy "+u.Host+": TLS: ") || strings.Contains(err.Error(), "pass") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A URL with the wrong scheme of the two is ProxyDown.
func TestDial_otherScheme(t *testing.T) {
	plain := site(t, func(*http.Request, net.Conn) {})
	plain.Scheme = "https"
	if _, err := proxy.Dial(t.Context(), plain, "192.0.2.1:443", nil); reason.Of(err) != reason.ProxyDown {
		t.Errorf("TLS at a plain proxy: %v", err)
	}
	u, _ := secured(t, "127.0.0.1", &tls.Config{MinVersion: tls.VersionTLS12}, func(*http.Request, net.Conn) {})
	u.Scheme = "http"
	if _, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil); reason.Of(err) != reason.ProxyDown {
		t.Errorf("no TLS at a proxy that wants it: %v", err)
	}
}

// A proxy with an unsupported scheme is not dialed.
func TestDial_unsupportedScheme(t *testing.T) {
	u := site(t, func(*http.Request, net.Conn) { t.Error("the proxy was asked") })
	u.Scheme = "socks5"
	if _, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil); reason.Of(err) != reason.ProxyDown || !strings.Contains(err.Error(), `scheme "socks5"`) {
		t.Errorf("%v", err)
	}
}

// A connection on which TLS fails is closed.
func TestDial_httpsProxyClosesAfterAnError(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	defer ln.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	u := &url.URL{Scheme: "https", Host: ln.Addr().String()}
	if _, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil); reason.Of(err) != reason.ProxyDown {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case <-closed:
	case <-ctx.Done():
		t.Error("the connection is still open")
	}
}

func TestDial_httpsProxyAnswers407(t *testing.T) {
	u, roots := secured(t, "127.0.0.1", &tls.Config{MinVersion: tls.VersionTLS12}, func(_ *http.Request, conn net.Conn) {
		say(t, conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
	})
	_, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", roots)
	if e, ok := errors.AsType[*proxy.StatusError](err); reason.Of(err) != reason.ProxyLogin || !ok || e.Status != http.StatusProxyAuthRequired {
		t.Errorf("%v", err)
	}
}

func TestDial_ipv6Proxy(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	talk, asked := answer(t, "HTTP/1.1 200 OK\r\n\r\n")
	u := siteOn(t, ln, talk)
	conn, err := proxy.Dial(t.Context(), u, "[2001:db8::7]:443", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if r := <-asked; r.RequestURI != "[2001:db8::7]:443" || r.Host != "[2001:db8::7]:443" {
		t.Errorf("the proxy got %s for host %s", r.RequestURI, r.Host)
	}
}

// A proxy that accepts the connection and never starts TLS is left when ctx ends.
func TestDial_httpsProxyIsSilent(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cancel()
		_, _ = io.Copy(io.Discard, conn) // until the dial ends
	}()
	defer func() { ln.Close(); <-ended }()
	_, err := proxy.Dial(ctx, &url.URL{Scheme: "https", Host: ln.Addr().String()}, "192.0.2.1:443", nil)
	if reason.Of(err) != reason.ProxyDown || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

package wsconn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/wire/wsconn"
)

// The status and the reason phrase of an HTTP answer are passed on. Redirects are not
// followed.
func TestDial_answers(t *testing.T) {
	var second atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { second.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503} {
		srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
		}))
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
		srv.Close()
		answer, ok := errors.AsType[*wsconn.HandshakeError](err)
		if !ok {
			t.Fatalf("status %d: %v", status, err)
		}
		if got, phrase := answer.HTTPStatus(); got != status || phrase != http.StatusText(status) {
			t.Errorf("got %d %q, want %d %q", got, phrase, status, http.StatusText(status))
		}
		if reason.Of(err) != reason.RemoteHTTP {
			t.Errorf("reason %s", reason.Of(err))
		}
	}
	if second.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// raw starts a TLS server that answers every request with the same bytes. It replaces
// {accept} in them with the correct Sec-WebSocket-Accept.
func raw(t *testing.T, answer string) *httptest.Server {
	t.Helper()
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		accept := base64.StdEncoding.EncodeToString(sum[:])
		_, _ = c.Write([]byte(strings.Replace(answer, "{accept}", accept, 1)))
	}))
}

func TestDial_answersThatAreNoWebSocket(t *testing.T) {
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	const acceptable = upgrade + "Sec-WebSocket-Accept: {accept}\r\n"
	for name, answer := range map[string]string{
		"200":                       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"wrong accept key":          upgrade + "Sec-WebSocket-Accept: x\r\n\r\n",
		"an extension not offered":  acceptable + "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n",
		"one after an empty field":  acceptable + "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n",
		"a subprotocol not offered": acceptable + "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
		"garbage":                   "SSH-2.0-OpenSSH\r\n",
		"nothing":                   "",
	} {
		srv := raw(t, answer)
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
		srv.Close()
		if got := reason.Of(err); got != reason.RemoteUpgrade {
			t.Errorf("%s: reason %s, %v", name, got, err)
		}
		if _, ok := errors.AsType[*wsconn.HandshakeError](err); ok {
			t.Errorf("%s: the status would be passed on", name)
		}
	}
}

func TestDial_noConnection(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	expired := expiredServer(t)
	for _, c := range []struct {
		name, endpoint string
		roots          *x509.CertPool
		want           reason.Code
	}{
		{"refused", "wss://" + porttest.Reserve(t), roots(srv), reason.RemoteRefused},
		{"unknown CA", wss(srv).String(), x509.NewCertPool(), reason.RemoteTLSCA},
		{"wrong name", strings.Replace(wss(srv).String(), "127.0.0.1", "localhost", 1), roots(srv), reason.RemoteTLSName},
		{"expired", wss(expired).String(), roots(expired), reason.RemoteTLSExpiry},
		{"no such name", "wss://no-such-host.invalid/", roots(srv), reason.RemoteDNS},
	} {
		_, err := wsconn.Dialer{Roots: c.roots}.Dial(t.Context(), parsed(c.endpoint), nil)
		if got := reason.Of(err); got != c.want {
			t.Errorf("%s: reason %s, want %s (%v)", c.name, got, c.want, err)
		}
	}
}

// A peer that accepts the connection and stays silent is left when ctx ends.
func TestDial_silence(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // the kernel completes the connection; it is never accepted
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = wsconn.Dialer{}.Dial(ctx, parsed("wss://"+ln.Addr().String()), nil)
	if got := reason.Of(err); got != reason.RemoteTimeout {
		t.Errorf("reason %s, %v", got, err)
	}
}

// A peer that stops in the middle of its status line is a timeout, not a protocol error.
func TestDial_truncatedStatusLine(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			defer c.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 40")
			<-release
		}
	}))
	defer srv.Close()
	defer close(release)
	for range 20 { // gorilla's deadline and the context's pass at the same time
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(ctx, wss(srv), nil)
		cancel()
		if reason.Of(err) != reason.RemoteTimeout || strings.Contains(err.Error(), "HTTP") {
			t.Errorf("reason %s (%v)", reason.Of(err), err)
		}
	}
}

// proxy starts a small CONNECT proxy and returns the requests that it receives.
func proxy(t *testing.T) (*url.URL, <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 4)
	srv := httptest.NewServer(connectProxy(t, requests))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("site", "pass")
	return u, requests
}

func connectProxy(t *testing.T, requests chan<- *http.Request) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		target, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, "no such target", http.StatusBadGateway)
			return
		}
		defer target.Close()
		client, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		_, _ = client.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		go func() { _, _ = io.Copy(target, buffered); target.Close() }()
		_, _ = io.Copy(client, target)
	})
}

func always(u *url.URL) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return u, nil }
}

// The proxy sees a CONNECT and its own credentials, but not the token. .ci/proxy tests a
// real proxy.
func TestDial_throughAProxy(t *testing.T) {
	accepted := make(chan *wsconn.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer x" {
			t.Error("the token did not arrive")
		}
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	defer srv.Close()
	u, requests := proxy(t)
	d := wsconn.Dialer{Roots: roots(srv), Proxy: always(u)}
	c, err := d.Dial(t.Context(), wss(srv), http.Header{"Authorization": {"Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far := <-accepted
	defer far.Close()
	r := <-requests
	if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" || r.Header.Get("Proxy-Authorization") == "" {
		t.Errorf("the proxy got %s with %v", r.Method, r.Header)
	}
	if _, err := c.Write([]byte("through")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "through" {
		t.Errorf("read %q, %v", got, err)
	}
}

// A proxy that refuses connections does not cause a direct connection.
func TestDial_proxyIsDown(t *testing.T) {
	var direct atomic.Int32
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { direct.Add(1) }))
	defer srv.Close()
	u := &url.URL{Scheme: "http", Host: porttest.Reserve(t)}
	_, err := wsconn.Dialer{Roots: roots(srv), Proxy: always(u)}.Dial(t.Context(), wss(srv), nil)
	if reason.Of(err) != reason.ProxyDown || direct.Load() != 0 {
		t.Errorf("reason %s, %d direct requests (%v)", reason.Of(err), direct.Load(), err)
	}
}

// The status of a proxy's answer is not passed on as the endpoint's.
func TestDial_proxyRequiresCredentials(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer site.Close()
	u, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wsconn.Dialer{Proxy: always(u)}.Dial(t.Context(), parsed("wss://gw.example.com/"), nil)
	_, passedOn := errors.AsType[*wsconn.HandshakeError](err)
	if reason.Of(err) != reason.ProxyLogin || passedOn {
		t.Errorf("reason %s, %v", reason.Of(err), err)
	}
}

// Canceling the context ends the dial immediately, also after the request was sent:
// gorilla's dialer alone would wait for a deadline.
func TestDial_cancelled(t *testing.T) {
	asked := make(chan struct{})
	release := make(chan struct{})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(ctx, wss(srv), nil)
		ended <- err
	}()
	<-asked
	cancel()
	patience, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	select {
	case err := <-ended:
		if reason.Of(err) != reason.RemoteTimeout {
			t.Errorf("reason %s (%v)", reason.Of(err), err)
		}
	case <-patience.Done():
		t.Error("the dial goes on")
	}
}

// An answer without an end does not fill the memory.
func TestDial_endlessAnswer(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n"))
		line := []byte("X: " + strings.Repeat("x", 64<<10) + "\r\n")
		for range 1024 { // 64 MiB, if they are read
			if _, err := c.Write(line); err != nil {
				return
			}
		}
		t.Error("64 MiB of header fields were read")
	}))
	defer srv.Close()
	if _, err := (wsconn.Dialer{Roots: roots(srv)}).Dial(t.Context(), wss(srv), nil); reason.Of(err) != reason.RemoteUpgrade {
		t.Errorf("reason %s (%v)", reason.Of(err), err)
	}
}

func TestDial_oldTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	srv.StartTLS()
	defer srv.Close()
	_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
	if _, ok := errors.AsType[*wsconn.HandshakeError](err); err == nil || ok {
		t.Errorf("TLS 1.1 got as far as HTTP: %v", err)
	}
}

// A peer that repeats the header anywhere in its answer cannot get it into an error. The
// error still says what failed.
func TestDial_errorsHoldNoHeader(t *testing.T) {
	const unreadable = "WS_BAD_UPGRADE: the answer to the handshake is not HTTP"
	for answer, want := range map[string]string{
		"HTTP/1.1 403 canary-token\r\nX: canary-token\r\nContent-Length: 0\r\n\r\n": "WS_HTTP: websocket handshake answered with status 403",
		"HTTP/1.1 600 canary-token\r\nContent-Length: 0\r\n\r\n":                    "WS_BAD_UPGRADE: websocket handshake answered with status 600",
		"canary-token\r\n\r\n":                                      unreadable,
		"HTTP/1.1 canary-token\r\n\r\n":                             unreadable,
		"HTTP/canary-token 401 x\r\n\r\n":                           unreadable,
		"HTTP/1.1 401 x\r\ncanary-token\r\n\r\n":                    unreadable,
		"HTTP/1.1 401 x\r\nContent-Length: canary-token\r\n\r\n":    unreadable,
		"HTTP/1.1 401 x\r\nTransfer-Encoding: canary-token\r\n\r\n": unreadable,
		"HTTP/1.1 401 " + strings.Repeat("canary-token", 100_000):   "WS_BAD_UPGRADE: the answer to the handshake does not end",
		"HTTP/1.1 401 canary-token":                                 "WS_BAD_UPGRADE: unexpected EOF",
	} {
		srv := raw(t, answer)
		header := http.Header{"Authorization": {"Bearer canary-token"}}
		_, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), header)
		srv.Close()
		if out := fmt.Sprintf("%v", err); out != want {
			t.Errorf("%.80q: %s, want %s", answer, out, want)
		}
		if out := fmt.Sprintf("%+v %#v", err, err); strings.Contains(out, "canary") && !strings.HasPrefix(want, "WS_HTTP") {
			t.Errorf("%.80q: the error holds the token: %s", answer, out)
		}
	}
}

// The text of the peer's Close is not in the error, only its code.
func TestRead_errorsHoldNoTextOfThePeer(t *testing.T) {
	c, f := dial(t)
	text := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "Bearer canary-token")
	if err := f.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, err := io.ReadAll(c)
	if want := "WS_LOST: websocket: close 1011 (internal server error)"; fmt.Sprint(err) != want {
		t.Errorf("read %v, want %s", err, want)
	}
}

// expiredServer starts a server with an expired certificate.
func expiredServer(t *testing.T) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

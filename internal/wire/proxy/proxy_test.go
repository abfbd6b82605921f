package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site starts a proxy for one connection: it reads the request and calls talk.
func site(t *testing.T, talk func(*http.Request, net.Conn)) *url.URL {
	t.Helper()
	return siteOn(t, listen(t, "127.0.0.1:0"), talk)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func siteOn(t *testing.T, ln net.Listener, talk func(*http.Request, net.Conn)) *url.URL {
	t.Helper()
	ended := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-ended })
	go func() {
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		talk(r, conn)
	}()
	return &url.URL{Scheme: "http", User: url.UserPassword("site", "pass:word"), Host: ln.Addr().String()}
}

func say(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	if _, err := io.WriteString(conn, words); err != nil {
		t.Error(err)
	}
}

// answer returns a talk for site that writes head and then echoes. The requests are sent
// to asked.
func answer(t *testing.T, head string) (talk func(*http.Request, net.Conn), asked <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 1)
	return func(r *http.Request, conn net.Conn) {
		requests <- r
		say(t, conn, head)
		_, _ = io.Copy(conn, conn)
	}, requests
}

// checkEcho checks that conn reads "early" and then echoes.
func checkEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	say(t, conn, " and late")
	got := make([]byte, len("early and late"))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "early and late" {
		t.Errorf("read %q, %v", got, err)
	}
}

// Bytes that follow the head of the answer belong to the connection.
func TestDial_bytesBehindTheAnswer(t *testing.T) {
	talk, asked := answer(t, "HTTP/1.1 200 \r\nX: y\r\n\r\nearly")
	u := site(t, talk)
	conn, err := proxy.Dial(t.Context(), u, "camera.invalid:443", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := <-asked
	user, password, _ := basic(r.Header.Get("Proxy-Authorization"))
	if r.Method != http.MethodConnect || r.RequestURI != "camera.invalid:443" || r.Host != "camera.invalid:443" ||
		user != "site" || password != "pass:word" || len(r.Header) != 1 {
		t.Errorf("the proxy got %s %s for host %s with %v", r.Method, r.RequestURI, r.Host, r.Header)
	}
	checkEcho(t, conn)
}

// Up to five informational answers come before the final one (RFC 9110, 15.2).
func TestDial_informationalAnswers(t *testing.T) {
	for _, count := range []int{1, 5} {
		talk, _ := answer(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 9\r\n\r\n", count)+"HTTP/1.1 200 OK\r\n\r\nearly")
		conn, err := proxy.Dial(t.Context(), site(t, talk), "192.0.2.1:443", nil)
		if err != nil {
			t.Fatalf("%d informational answers: %v", count, err)
		}
		checkEcho(t, conn)
		conn.Close()
	}
}

// A refusal is complete with its head: its body may never end.
func TestDial_refusedWithABodyThatDoesNotEnd(t *testing.T) {
	refused := make(chan struct{})
	u := site(t, func(_ *http.Request, conn net.Conn) {
		say(t, conn, "HTTP/1.1 407 x\r\nContent-Length: 100000\r\n\r\nno")
		<-refused
	})
	_, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil)
	close(refused)
	if reason.Of(err) != reason.ProxyLogin {
		t.Errorf("%v", err)
	}
}

func basic(header string) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth()
}

func TestDial_withoutCredentials(t *testing.T) {
	talk, asked := answer(t, "HTTP/1.1 200\r\n\r\n") // no reason phrase, no blank before it
	u := site(t, talk)
	u.User = nil
	conn, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if r := <-asked; len(r.Header) != 0 {
		t.Errorf("the proxy got %v", r.Header)
	}
}

func TestDial_refused(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         reason.Code
		status       int
	}{
		{"login", "HTTP/1.1 407 site:pass:word\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nbad", reason.ProxyLogin, 407},
		{"login, of tinyproxy", "HTTP/1.1 401 Unauthorized\r\n\r\n", reason.ProxyLogin, 401},
		{"forbidden", "HTTP/1.1 403 Forbidden\r\n\r\n", reason.ProxyHTTP, 403},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", reason.ProxyHTTP, 302},
		{"no route to the target", "HTTP/1.1 502\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", reason.ProxyHTTP, 502},
		{"login after an informational answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 x\r\n\r\n", reason.ProxyLogin, 407},
		{"informational only", "HTTP/1.1 100 Continue\r\n\r\n", reason.ProxyDown, 0},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", reason.ProxyHTTP, 101},
		{"6 informational", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + "HTTP/1.1 200 OK\r\n\r\n", reason.ProxyDown, 0},
		{"not HTTP", "SSH-2.0-site:pass:word\r\n\r\n", reason.ProxyDown, 0},
		{"truncated", "HTTP/1.1 200 OK\r\nX: ", reason.ProxyDown, 0},
		{"nothing", "", reason.ProxyDown, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := site(t, func(_ *http.Request, conn net.Conn) { say(t, conn, c.answer) })
			_, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil)
			if got := reason.Of(err); got != c.want {
				t.Errorf("reason %s, want %s (%v)", got, c.want, err)
			}
			if e, ok := errors.AsType[*proxy.StatusError](err); ok != (c.status != 0) || ok && e.Status != c.status {
				t.Errorf("status of %v, want %d", err, c.status)
			}
			if says := map[string]string{"not HTTP": "not HTTP", "truncated": "incomplete answer", "nothing": "incomplete answer", "6 informational": "more than 5 informational"}[c.name]; !strings.Contains(err.Error(), says) {
				t.Errorf("%q does not say %q", err, says)
			}
			if strings.Contains(err.Error(), "pass") {
				t.Errorf("the credentials are in %q", err)
			}
		})
	}
}

// A head without an end is cut at 64 KiB, also if ctx has no deadline.
func TestDial_endlessAnswer(t *testing.T) {
	u := site(t, func(_ *http.Request, conn net.Conn) {
		say(t, conn, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(conn, "X: "+strings.Repeat("x", 4000)+"\r\n"); err != nil {
				return
			}
		}
	})
	_, err := proxy.Dial(t.Context(), u, "192.0.2.1:443", nil)
	if reason.Of(err) != reason.ProxyDown {
		t.Errorf("%v", err)
	}
}

// A proxy that accepts the connection and stays silent is left when ctx ends.
func TestDial_silence(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	u := site(t, func(_ *http.Request, conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the dial is over
	})
	_, err := proxy.Dial(ctx, u, "192.0.2.1:443", nil)
	if reason.Of(err) != reason.ProxyDown || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestDial_noConnection(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	defer ln.Close()
	open, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	refusing := open.LocalAddr().String() // no other process can listen on the address of an open connection
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, u := range []string{"http://" + refusing, "https://" + refusing, "HTTPS://user@127.0.0.1:1", "socks5://127.0.0.1:1"} {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = proxy.Dial(ctx, parsed, "192.0.2.1:443", nil); reason.Of(err) != reason.ProxyDown {
			t.Errorf("%s: %v", u, err)
		}
	}
}

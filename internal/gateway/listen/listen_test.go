package listen_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway/listen"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func proxies(t *testing.T, texts ...string) listen.Proxies {
	t.Helper()
	p, err := listen.ParseProxies(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheck(t *testing.T) {
	trusted := proxies(t, "10.0.0.0/8")
	for address, c := range map[string]struct{ plain, secured, proxied bool }{
		"127.0.0.1:80":          {true, true, true},
		"127.8.8.8:80":          {true, true, true},
		"[::1]:80":              {true, true, true},
		"[::ffff:127.0.0.1]:80": {true, true, true},
		"localhost:80":          {true, true, true},
		":80":                   {false, true, true},
		"0.0.0.0:80":            {false, true, true},
		"[::]:80":               {false, true, true},
		"192.0.2.1:80":          {false, true, true},
		"gw.example.com:80":     {false, true, true},
		"127.0.0.1.nip.io:80":   {false, true, true},
		"127.0.0.1":             {false, false, false},
	} {
		for name, o := range map[string]struct {
			options listen.Options
			want    bool
		}{
			"plain":   {listen.Options{Address: address}, c.plain},
			"TLS":     {listen.Options{Address: address, TLS: &tls.Config{MinVersion: tls.VersionTLS12}}, c.secured},
			"proxied": {listen.Options{Address: address, Proxies: trusted}, c.proxied},
		} {
			if err := o.options.Check(); (err == nil) != o.want {
				t.Errorf("%s, %s: %v", address, name, err)
			}
		}
		if ln, err := listen.Listen(t.Context(), listen.Options{Address: address}); err == nil && !c.plain {
			ln.Close()
			t.Errorf("%s was opened", address)
		}
	}
}

func open(t *testing.T, o listen.Options) net.Listener {
	t.Helper()
	ln, err := listen.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestListen_plainOnLoopback(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "localhost:0"} {
		ln := open(t, listen.Options{Address: address})
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
	}
}

// The connections are those of crypto/tls, which net/http needs for HTTP/2.
func TestListen_tls(t *testing.T) {
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln := open(t, listen.Options{Address: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}})
	dialed := make(chan error, 1)
	go func() {
		conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.Pool()})
		if err == nil {
			conn.Close()
		}
		dialed <- err
	}()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	server, ok := accepted.(*tls.Conn)
	if !ok {
		t.Fatalf("the connection is a %T", accepted)
	}
	if err := server.HandshakeContext(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-dialed; err != nil {
		t.Error(err)
	}
}

// A plain listener beyond loopback closes connections of all but its proxies, and logs one
// line for many of them.
func TestListen_plainBehindProxies(t *testing.T) {
	log := logtest.New()
	options := listen.Options{Address: "127.0.0.1:0", Proxies: proxies(t, "127.0.0.2"), Log: zerolog.New(log)}
	ln, err := listen.Guard(options, open(t, options), netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dial := func(from string) net.Conn {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from + ":0"))}
		conn, err := dialer.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for range 5 {
		stranger := dial("127.0.0.3")
		if n, err := stranger.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Fatal("a stranger is served")
		}
		stranger.Close()
	}
	proxy := dial("127.0.0.2")
	defer proxy.Close()
	server := <-accepted
	if _, err := io.WriteString(server, "x"); err != nil {
		t.Error(err)
	}
	server.Close()
	if text, err := io.ReadAll(proxy); string(text) != "x" {
		t.Errorf("the proxy reads %q, %v", text, err)
	}
	if n := log.CountFields(t, "level=warn", "remote=127.0.0.3"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the log is %s", log)
	}
	ln.Close()
	if _, ok := <-accepted; ok {
		t.Error("a connection more was accepted")
	}
}

func TestParseProxies(t *testing.T) {
	got := proxies(t, "10.1.2.3/8", "192.0.2.1", "2001:db8::/32", "::ffff:192.0.2.9")
	for address, want := range map[string]bool{
		"10.255.0.1": true, "11.0.0.1": false, "192.0.2.1": true, "192.0.2.2": false, "192.0.2.9": true,
		"2001:db8::1%eth0": true, "2001:db9::1": false, "::ffff:10.0.0.1": true,
	} {
		if got.Trust(netip.MustParseAddr(address)) != want {
			t.Errorf("%s is trusted: %v", address, !want)
		}
	}
	if got.Trust(netip.Addr{}) {
		t.Error("no address is trusted")
	}
	for _, bad := range []string{"", "x", "0.0.0.0/0", "::/0", "10.0.0.0/33", "::ffff:10.0.0.0/104", "proxy.example.com"} {
		if p, err := listen.ParseProxies([]string{bad}); err == nil {
			t.Errorf("%q is %v", bad, p)
		}
	}
}

func TestClient(t *testing.T) {
	p := proxies(t, "10.0.0.0/8", "::1")
	for name, c := range map[string]struct {
		peer  string
		hops  []string
		want  string
		trust listen.Proxies
	}{
		"direct":               {"192.0.2.1:5000", nil, "192.0.2.1", p},
		"a stranger's header":  {"192.0.2.1:5000", []string{"203.0.113.1"}, "192.0.2.1", p},
		"no trusted proxies":   {"10.0.0.1:5000", []string{"203.0.113.1"}, "10.0.0.1", nil},
		"a proxy":              {"10.0.0.1:5000", []string{"203.0.113.1"}, "203.0.113.1", p},
		"two proxies":          {"10.0.0.1:5000", []string{"203.0.113.1, 10.0.0.2"}, "203.0.113.1", p},
		"two headers":          {"10.0.0.1:5000", []string{"203.0.113.1", "10.0.0.2"}, "203.0.113.1", p},
		"a forged beginning":   {"10.0.0.1:5000", []string{"198.51.100.1, 203.0.113.1"}, "203.0.113.1", p},
		"proxies alone":        {"10.0.0.1:5000", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3", p},
		"a silent proxy":       {"10.0.0.1:5000", nil, "10.0.0.1", p},
		"no address":           {"10.0.0.1:5000", []string{"203.0.113.1, unknown"}, "10.0.0.1", p},
		"an empty element":     {"10.0.0.1:5000", []string{"203.0.113.1,"}, "10.0.0.1", p},
		"with a port":          {"10.0.0.1:5000", []string{"203.0.113.1:6000"}, "203.0.113.1", p},
		"IPv6":                 {"[::1]:5000", []string{"2001:db8::1"}, "2001:db8::1", p},
		"IPv6 in brackets":     {"[::1]:5000", []string{"[2001:db8::1]"}, "2001:db8::1", p},
		"IPv6 with a port":     {"[::1]:5000", []string{"[2001:db8::1]:6000"}, "2001:db8::1", p},
		"IPv4 in IPv6":         {"[::ffff:10.0.0.1]:5000", []string{"::ffff:203.0.113.1"}, "203.0.113.1", p},
		"many elements":        {"10.0.0.1:5000", []string{"203.0.113.1" + strings.Repeat(",10.0.0.1", 5000)}, "203.0.113.1", p},
		"a broken peer":        {"@", []string{"203.0.113.1"}, "invalid IP", p},
		"a zone of the client": {"[fe80::1%eth0]:5000", nil, "fe80::1", p},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.hops
		if got := c.trust.Client(r); got.String() != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

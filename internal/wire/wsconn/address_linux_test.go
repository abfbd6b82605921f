package wsconn_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/wsconn"
)

// nameServer is a DNS server that counts its queries. It answers the n-th query of a type,
// from 0, with the addresses that answer returns for n.
type nameServer struct {
	answer func(n int) []netip.Addr

	mu      sync.Mutex
	queries map[dnsmessage.Type]int
}

// newNameServer makes a DNS server on loopback the resolver of this process, for one test.
func newNameServer(t *testing.T, answer func(n int) []netip.Addr) *nameServer {
	t.Helper()
	s := &nameServer{answer: answer, queries: map[dnsmessage.Type]int{}}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.serve(t, conn) }()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before; conn.Close(); <-ended })
	return s
}

func (s *nameServer) serve(t *testing.T, conn net.PacketConn) {
	t.Helper()
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
			t.Errorf("query %v, %v", m, err)
			return
		}
		s.fill(&m)
		answer, err := m.Pack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.WriteTo(answer, from)
	}
}

func (s *nameServer) fill(m *dnsmessage.Message) {
	q := m.Questions[0]
	s.mu.Lock()
	addresses := s.answer(s.queries[q.Type])
	s.queries[q.Type]++
	s.mu.Unlock()
	m.Header = dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true, RecursionDesired: true}
	m.Additionals = nil
	for _, a := range addresses {
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}}
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			r.Body = &dnsmessage.AResource{A: a.As4()}
		case a.Is6() && q.Type == dnsmessage.TypeAAAA:
			r.Body = &dnsmessage.AAAAResource{AAAA: a.As16()}
		default:
			continue
		}
		m.Answers = append(m.Answers, r)
	}
}

func (s *nameServer) asked() (a, aaaa int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries[dnsmessage.TypeA], s.queries[dnsmessage.TypeAAAA]
}

// The address that these tests allow, and two that they forbid. All three have a listener
// on the same port.
var (
	allowed    = netip.MustParseAddr("127.0.0.2")
	forbidden  = netip.MustParseAddr("127.0.0.1")
	forbidden6 = netip.MustParseAddr("::1")
)

// judge allows one address, and records the addresses that it is asked about.
type judge struct {
	mu    sync.Mutex
	asked []netip.Addr
}

func (j *judge) allow(a netip.Addr) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, a)
	if a == allowed {
		return nil
	}
	return reason.New(reason.PolicyRemote, errors.New("not in this test"))
}

func (j *judge) seen() []netip.Addr {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.asked)
}

// threeServers starts a WebSocket server on the allowed address, and listeners on the
// same port of the others, which fail the test when they are dialed.
func threeServers(t *testing.T) (srv *httptest.Server, endpoint string) {
	t.Helper()
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := wsconn.Accept(w, r); err == nil {
			c.Close()
		}
	}))
	ln, err := net.Listen("tcp", allowed.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener.Close()
	srv.Listener = ln
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, a := range []netip.Addr{forbidden, forbidden6} {
		trap(t, net.JoinHostPort(a.String(), port))
	}
	return srv, "wss://example.com:" + port + "/" // the name in httptest's certificate
}

// trap listens on address and fails the test when it is dialed. It does nothing if this
// machine does not have the address.
func trap(t *testing.T, address string) {
	t.Helper()
	if ln, err := net.Listen("tcp", address); err == nil {
		failOnConnect(t, ln)
	}
}

func ofType(list ...netip.Addr) func(int) []netip.Addr { return func(int) []netip.Addr { return list } }

// A dial resolves a name once, and connects to the address that was judged, also if the
// name resolves differently afterwards (DNS rebinding).
func TestDial_namesThatChange(t *testing.T) {
	srv, endpoint := threeServers(t)
	names := newNameServer(t, func(n int) []netip.Addr {
		if n == 0 {
			return []netip.Addr{allowed}
		}
		return []netip.Addr{forbidden, forbidden6}
	})
	var j judge
	d := wsconn.Dialer{Roots: roots(srv), Judge: j.allow}
	c, err := d.Dial(t.Context(), parsed(endpoint), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if a, aaaa := names.asked(); a != 1 || aaaa != 1 {
		t.Errorf("%d queries for A and %d for AAAA", a, aaaa)
	}
	if seen := j.seen(); len(seen) != 1 {
		t.Errorf("judged: %v", seen)
	}
	if _, err := d.Dial(t.Context(), parsed(endpoint), nil); reason.Of(err) != reason.PolicyRemote {
		t.Errorf("the second time: %v", err)
	}
	if a, aaaa := names.asked(); a != 2 || aaaa != 2 {
		t.Errorf("%d queries for A and %d for AAAA", a, aaaa)
	}
}

// Every address that is tried is judged, of both families, one after the other or
// concurrently.
func TestDial_judgesEachAddress(t *testing.T) {
	srv, endpoint := threeServers(t)
	unused := netip.MustParseAddr("127.0.0.3")
	for name, c := range map[string]struct {
		addresses []netip.Addr
		opens     bool
	}{
		"the allowed one":          {[]netip.Addr{allowed}, true},
		"a forbidden one besides":  {[]netip.Addr{forbidden, allowed}, true},
		"in reverse order":         {[]netip.Addr{allowed, forbidden}, true},
		"IPv6 is forbidden":        {[]netip.Addr{forbidden6, allowed}, true},
		"forbidden in both":        {[]netip.Addr{forbidden6, forbidden}, false},
		"several, none is allowed": {[]netip.Addr{unused, forbidden}, false},
		"IPv6 alone":               {[]netip.Addr{forbidden6}, false},
	} {
		t.Run(name, func(t *testing.T) {
			newNameServer(t, ofType(c.addresses...))
			var j judge
			conn, err := wsconn.Dialer{Roots: roots(srv), Judge: j.allow}.Dial(t.Context(), parsed(endpoint), nil)
			if c.opens && err != nil || !c.opens && reason.Of(err) != reason.PolicyRemote {
				t.Errorf("%v; judged: %v", err, j.seen())
			}
			if conn != nil {
				conn.Close()
			}
			if !c.opens && len(j.seen()) != len(c.addresses) {
				t.Errorf("judged: %v", j.seen())
			}
		})
	}
}

// With a proxy no name is resolved here, and the proxy's own address is not judged. An
// address in the endpoint is judged before the proxy is dialed.
func TestDial_judgesWhatAProxyDials(t *testing.T) {
	names := newNameServer(t, ofType(allowed))
	requests := make(chan string, 16)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Host
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer site.Close()
	u, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	var j judge
	d := wsconn.Dialer{Proxy: always(u), Judge: j.allow}
	for _, endpoint := range []string{"wss://127.0.0.1/", "wss://[::1]:443/", "wss://[::ffff:127.0.0.1]"} {
		if _, err := d.Dial(t.Context(), parsed(endpoint), nil); reason.Of(err) != reason.PolicyRemote {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	for _, endpoint := range []string{"wss://gw.example:8443/", "wss://127.0.0.2:8443/"} {
		if _, err := d.Dial(t.Context(), parsed(endpoint), nil); reason.Of(err) != reason.ProxyHTTP {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	site.Close()
	close(requests)
	var got []string
	for r := range requests {
		got = append(got, r)
	}
	if want := []string{"gw.example:8443", "127.0.0.2:8443"}; !slices.Equal(got, want) {
		t.Errorf("the proxy got %q", got)
	}
	if a, aaaa := names.asked(); len(j.seen()) != 4 || a+aaaa != 0 {
		t.Errorf("judged: %v; %d look-ups", j.seen(), a+aaaa)
	}
}

package edge_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"rtsptunnel/internal/module/edge"
)

// listen serves each connection until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				serve(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	return ln.Addr().String()
}

// hangUp is a hub that only tells that somebody came.
func hangUp(t *testing.T, came chan<- string, name string) (address string) {
	t.Helper()
	return listen(t, func(net.Conn) { came <- name })
}

// pass carries bytes between two connections until one ends.
func pass(near net.Conn, early io.Reader, far net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, io.MultiReader(early, near)); far.Close(); near.Close() })
	both.Go(func() { _, _ = io.Copy(near, far); far.Close(); near.Close() })
	both.Wait()
}

// names is a name server. It knows no name at all, or fails in another way if code
// says so, and notes what it is asked for.
type names struct {
	code dnsmessage.RCode

	mu    sync.Mutex
	asked []string
}

func (n *names) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.asked...)
}

// resolver asks n, and nobody else.
func (n *names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { n.serve(conn) })
	t.Cleanup(func() { conn.Close(); all.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *names) serve(conn net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		size, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:size]) != nil || len(m.Questions) != 1 {
			continue
		}
		n.mu.Lock()
		n.asked = append(n.asked, m.Questions[0].Name.String())
		n.mu.Unlock()
		m.Response, m.RCode, m.Additionals = true, n.code, nil
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// relay is a site's proxy: it knows where names really are, wants a login, and can
// be told to say no.
type relay struct {
	address string
	where   map[string]string // host:port to host:port

	mu     sync.Mutex
	answer string // instead of a connection; none if empty
	asked  []*http.Request
}

const proxyLogin = "Basic c2l0ZTpjYW5hcnk=" // site:canary

func newRelay(t *testing.T, where map[string]string) *relay {
	t.Helper()
	r := &relay{where: where}
	r.address = listen(t, r.serve)
	return r
}

func (r *relay) say(answer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *relay) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*http.Request{}, r.asked...)
}

// through are the rules that lead everything through r.
func (r *relay) through(u *url.URL) (*url.URL, error) {
	return &url.URL{Scheme: "http", User: url.UserPassword("site", "canary"), Host: r.address}, nil
}

func (r *relay) serve(near net.Conn) {
	b := bufio.NewReader(near)
	request, err := http.ReadRequest(b)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.asked = append(r.asked, request)
	answer := r.answer
	r.mu.Unlock()
	switch {
	case answer != "":
	case request.Header.Get("Proxy-Authorization") != proxyLogin:
		answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
	case request.Method != http.MethodConnect || r.where[request.RequestURI] == "":
		answer = "HTTP/1.1 502 Bad Gateway\r\n\r\n"
	}
	if answer != "" {
		_, _ = io.WriteString(near, answer)
		return
	}
	far, err := net.Dial("tcp", r.where[request.RequestURI])
	if err != nil {
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	pass(near, b, far)
}

// direct makes the module reach the hub itself, by its key.
func (s *site) direct(t *testing.T) {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.o.Identity.GatewayHost = ""
	s.o.Identity.Login = edge.Key{
		Key:   func() ([]byte, error) { return base64.StdEncoding.DecodeString(r.Authentication.SymmetricKey.Primary) },
		Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
	}
}

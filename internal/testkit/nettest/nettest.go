// Package nettest gives a test the network of a site on loopback: servers, a name
// server and an HTTP proxy. Tests alone import it.
package nettest

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Listen returns the address of a TCP server that calls serve for each connection and then
// closes it. At the end of the test it closes all connections and waits for serve.
func Listen(tb testing.TB, serve func(net.Conn)) (address string) {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
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
	tb.Cleanup(func() {
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

// Relay copies bytes between two connections until one of them ends, and closes both. early
// is read before near.
func Relay(near net.Conn, early io.Reader, far net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, io.MultiReader(early, near)); far.Close(); near.Close() })
	both.Go(func() { _, _ = io.Copy(near, far); far.Close(); near.Close() })
	both.Wait()
}

// NameServer is a DNS server that answers every question with Code and no address.
type NameServer struct {
	Code dnsmessage.RCode

	mu    sync.Mutex
	asked []string
}

// Questions returns the names that were asked for so far.
func (n *NameServer) Questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

// Resolver starts the server and returns a resolver that asks only this server.
func (n *NameServer) Resolver(tb testing.TB) *net.Resolver {
	tb.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { n.serve(conn) })
	tb.Cleanup(func() { _ = conn.Close(); all.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *NameServer) serve(conn net.PacketConn) {
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
		m.Response, m.RCode, m.Additionals = true, n.Code, nil
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// Proxy is a site's HTTP proxy, which wants Basic credentials and resolves names itself.
type Proxy struct {
	Address string // of the proxy

	where map[string]string

	mu     sync.Mutex
	answer string
	asked  []*http.Request
}

// ProxyAuthorization is the header field of Proxy's credentials: site, canary.
const ProxyAuthorization = "Basic c2l0ZTpjYW5hcnk="

// NewProxy starts a proxy. It connects to the addresses in where, host:port by host:port as
// clients name it, and answers 502 for any other.
func NewProxy(tb testing.TB, where map[string]string) *Proxy {
	tb.Helper()
	p := &Proxy{where: where}
	p.Address = Listen(tb, p.serve)
	return p
}

// Say makes the proxy send answer from now on instead of connecting; it connects again if
// answer is empty.
func (p *Proxy) Say(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// Requests returns the requests so far.
func (p *Proxy) Requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// For returns the proxy's URL with its credentials for every URL.
func (p *Proxy) For(*url.URL) (*url.URL, error) {
	return &url.URL{Scheme: "http", User: url.UserPassword("site", "canary"), Host: p.Address}, nil
}

func (p *Proxy) serve(near net.Conn) {
	b := bufio.NewReader(near)
	request, err := http.ReadRequest(b)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, request)
	answer := p.answer
	p.mu.Unlock()
	switch {
	case answer != "":
	case request.Header.Get("Proxy-Authorization") != ProxyAuthorization:
		answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
	case request.Method != http.MethodConnect || p.where[request.RequestURI] == "":
		answer = "HTTP/1.1 502 Bad Gateway\r\n\r\n"
	}
	if answer != "" {
		_, _ = io.WriteString(near, answer)
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.where[request.RequestURI])
	if err != nil {
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	Relay(near, b, far)
}

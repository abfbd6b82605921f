// Package listen opens the gateway's public listeners and knows who their clients are.
//
// The rules are:
//   - A listener has TLS, unless its address is a loopback address, or it has trusted proxies.
//     Tokens would be readable on the network otherwise.
//   - A listener without TLS beyond loopback serves connections of its trusted proxies alone,
//     and closes all others.
//   - X-Forwarded-For counts only in requests of trusted proxies. Every other client could
//     write any address into it.
//
// Code belongs here if it decides who may connect and under which address a client is known.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options are the options of a listener.
type Options struct {
	Address string      // host:port
	TLS     *tls.Config // nil: plain
	Proxies Proxies
	Log     zerolog.Logger
}

var errPlain = errors.New("a listener without TLS needs a loopback address or trustedProxies: give it a certificate, or let a reverse proxy serve TLS")

// Check returns why a listener must not be opened, without opening it.
func (o Options) Check() error {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return fmt.Errorf("listen on %q: %w", o.Address, err)
	}
	if o.TLS == nil && len(o.Proxies) == 0 && !isLoopback(host) {
		return fmt.Errorf("listen on %s: %w", o.Address, errPlain)
	}
	return nil
}

// isLoopback reports whether a host is a loopback address or localhost. Other names may
// resolve to any address, and no host stands for all addresses.
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || host == "localhost"
}

// Listen opens the listener. Its connections are of crypto/tls if it has TLS, so that a
// server can serve HTTP/2 on them. The caller closes it.
func Listen(ctx context.Context, o Options) (net.Listener, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		return tls.NewListener(ln, o.TLS), nil
	}
	return o.guard(ln, peer(ln.Addr()))
}

// guard returns the plain listener ln, which is bound to the address, with the rules of its
// address. It closes ln if there must be none.
func (o Options) guard(ln net.Listener, bound netip.Addr) (net.Listener, error) {
	if bound.IsLoopback() {
		return ln, nil
	}
	if len(o.Proxies) == 0 { // localhost has another address here
		ln.Close()
		return nil, fmt.Errorf("listen on %s: %w", bound, errPlain)
	}
	return &proxied{Listener: ln, proxies: o.Proxies, log: o.Log}, nil
}

// peer returns the address of a TCP connection's end; the zero Addr if it has none.
func peer(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

// logEvery is the least time between two lines about refused connections.
const logEvery = time.Minute

// proxied is a listener that accepts connections of proxies alone.
type proxied struct {
	net.Listener
	proxies Proxies
	log     zerolog.Logger

	mu      sync.Mutex
	refused int // since the last line
	logged  time.Time
}

func (p *proxied) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := peer(conn.RemoteAddr())
		if p.proxies.Trust(from) {
			return conn, nil
		}
		conn.Close()
		p.refuse(from)
	}
}

// refuse logs a refused connection. Strangers cause at most one line a minute.
func (p *proxied) refuse(from netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused++
	if now := time.Now(); now.Sub(p.logged) >= logEvery {
		p.log.Warn().Stringer("remote", from).Int("connections", p.refused).
			Msg("connection without TLS refused: its address is not one of trustedProxies")
		p.refused, p.logged = 0, now
	}
}

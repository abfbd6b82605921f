package module

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/wire/wsconn"
)

// remotePolicy is which remote endpoints tunnels may lead to and through which proxy.
// The environment decides what is a lab's, and the twin the rest, at any time.
type remotePolicy struct {
	addresses policy.Addresses
	plaintext bool
	proxies   func(address, noProxy string) (config.RemoteProxy, error)

	remotes  atomic.Pointer[policy.Remotes]
	sessions *wsconn.Sessions
	proxy    atomic.Pointer[config.RemoteProxy]
}

// newRemotePolicy allows any host, through the environment's proxy, until a twin says
// otherwise.
func newRemotePolicy(cfg config.Module) *remotePolicy {
	p := &remotePolicy{
		addresses: policy.Addresses{Loopback: cfg.AllowLoopbackRemote},
		plaintext: cfg.AllowPlaintextRemote,
		proxies:   cfg.RemoteProxy,
		sessions:  wsconn.NewSessions(),
	}
	p.setRemotes(policy.Any())
	p.proxy.Store(&config.RemoteProxy{})
	_, _ = p.setProxy("", "") // the environment's alone cannot be an error
	return p
}

// setRemotes replaces the allowed hosts, for all endpoints that are dialled from now on.
func (p *remotePolicy) setRemotes(r policy.Remotes) {
	p.remotes.Store(&r)
	p.sessions.Forget()
}

// setProxy takes the twin's proxy.url and proxy.noProxy, either of which may be empty,
// for all endpoints that are dialled from now on, and tells which proxy is in force: on
// an error the last one.
func (p *remotePolicy) setProxy(address, noProxy string) (config.RemoteProxy, error) {
	next, err := p.proxies(address, noProxy)
	if err != nil {
		return *p.proxy.Load(), fmt.Errorf("proxy.url %w", err)
	}
	p.proxy.Store(&next)
	p.sessions.Forget()
	return next, nil
}

// allow is the policy by name: it returns the URL to dial for an endpoint, or why the
// endpoint is not allowed.
func (p *remotePolicy) allow(endpoint *url.URL) (*url.URL, error) {
	e, err := policy.Rules{Remotes: *p.remotes.Load(), Addresses: p.addresses, Plaintext: p.plaintext}.Endpoint(endpoint)
	return e.URL, err
}

// judge is the policy by address, for wsconn.Dialer. The device's own addresses are read
// each time: they change.
func (p *remotePolicy) judge(addr netip.Addr) error {
	own, err := ownAddresses()
	if err != nil {
		return reason.New(reason.PolicyRemote, err)
	}
	return p.addresses.Check(addr, own)
}

func ownAddresses() ([]netip.Addr, error) {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read this device's own addresses: %w", err)
	}
	own := make([]netip.Addr, 0, len(interfaces))
	for _, a := range interfaces {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr())
		}
	}
	return own, nil
}

// dialer dials remote endpoints by this policy.
func (p *remotePolicy) dialer(roots *x509.CertPool) wsconn.Dialer {
	way := func(u *url.URL) (*url.URL, error) { return p.proxy.Load().For(u) }
	return wsconn.Dialer{Roots: roots, Proxy: way, Judge: p.judge, Sessions: p.sessions}
}

// labReasons are the switches that no module in a site has, as reasons for its being
// degraded.
func labReasons(cfg config.Module) []string {
	var reasons []string
	if cfg.AllowLoopbackRemote {
		reasons = append(reasons, string(reason.LabLoopback))
	}
	if cfg.AllowPlaintextRemote {
		reasons = append(reasons, string(reason.LabPlaintext))
	}
	return reasons
}

package module

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/wire/wsconn"
)

// remotePolicy decides which remote endpoints tunnels may lead to, and through which
// proxy. The lab switches come from the environment, and the rest from the twin, which
// can change at any time. Its methods are safe for concurrent use.
type remotePolicy struct {
	addresses  policy.Addresses
	plaintext  bool
	parseProxy func(address, noProxy string) (config.RemoteProxy, error)

	remotes  atomic.Pointer[policy.Remotes]
	proxy    atomic.Pointer[config.RemoteProxy]
	sessions *wsconn.Sessions // emptied when remotes or proxy change
}

// newRemotePolicy returns a policy that allows any host, through the environment's
// proxy, until the first twin.
func newRemotePolicy(cfg config.Module) *remotePolicy {
	p := &remotePolicy{
		addresses:  policy.Addresses{Loopback: cfg.AllowLoopbackRemote},
		plaintext:  cfg.AllowPlaintextRemote,
		parseProxy: cfg.RemoteProxy,
		sessions:   wsconn.NewSessions(),
	}
	p.setRemotes(policy.Any())
	p.proxy.Store(&config.RemoteProxy{})
	_, _ = p.setProxy("", "") // the environment's proxy alone is never an error
	return p
}

// setRemotes replaces the allowed hosts, for all dials from now on.
func (p *remotePolicy) setRemotes(r policy.Remotes) {
	p.remotes.Store(&r)
	p.sessions.Forget()
}

// setProxy takes the twin's proxy.url and proxy.noProxy, for all dials from now on. Either
// may be empty: then the environment's counts. It returns the proxy in force, which on
// an error is the previous one.
func (p *remotePolicy) setProxy(address, noProxy string) (config.RemoteProxy, error) {
	next, err := p.parseProxy(address, noProxy)
	if err != nil {
		return *p.proxy.Load(), fmt.Errorf("proxy.url %w", err)
	}
	p.proxy.Store(&next)
	p.sessions.Forget()
	return next, nil
}

// allow judges an endpoint by name: it returns the URL to dial, or why the endpoint is
// not allowed.
func (p *remotePolicy) allow(endpoint *url.URL) (*url.URL, error) {
	e, err := policy.Rules{Remotes: *p.remotes.Load(), Addresses: p.addresses, Plaintext: p.plaintext}.Endpoint(endpoint)
	return e.URL, err
}

// judge decides whether wsconn.Dialer may connect to an address. It reads the device's
// addresses each time, since they change. Without them every address is refused.
func (p *remotePolicy) judge(addr netip.Addr) error {
	device, err := thisDevice()
	switch {
	case shortage.Is(err):
		return reason.New(reason.NoResources, err)
	case err != nil:
		return reason.New(reason.PolicyRemote, err)
	}
	return p.addresses.Check(addr, device)
}

func thisDevice() (d policy.Device, err error) {
	if d.Own, err = ownAddresses(); err == nil {
		d.Gateways, err = defaultGateways(routingTables)
	}
	return d, err
}

// ownAddresses returns the addresses of all interfaces.
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

// dialer returns a dialer for remote endpoints that obeys the policy as it changes.
func (p *remotePolicy) dialer(roots *x509.CertPool) wsconn.Dialer {
	proxy := func(u *url.URL) (*url.URL, error) { return p.proxy.Load().For(u) }
	return wsconn.Dialer{Roots: roots, Proxy: proxy, Judge: p.judge, Sessions: p.sessions}
}

// labReasons returns the reason codes of the lab switches that are on. The module is
// degraded by them, so that a site notices them.
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

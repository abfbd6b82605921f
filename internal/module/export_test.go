package module

import (
	"context"
	"crypto/x509"
	"io"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/wire/wsconn"
)

// Times are how long things take, for tests that have no time.
type Times = times

// FitMemory is the module's.
func FitMemory(limit func() (uint64, error)) { fitMemory(limit) }

// UsualTimes are the product's.
func UsualTimes() Times { return usualTimes() }

// RunAt is Run with other times.
func RunAt(ctx context.Context, stdout, stderr io.Writer, t Times) error {
	return run(ctx, stdout, stderr, t)
}

// TwinOfNobody gives doc to a module that was never wired, which panics with it.
func TwinOfNobody(doc []byte) (reported []byte) { return new(module).Twin(doc, edge.Connection{}) }

// Liveness is how a remote end is found out to be gone with these properties.
func Liveness(ping, stall time.Duration) wsconn.Liveness {
	return liveness(twin.Tunnels{Ping: ping, StallTimeout: stall})
}

// OwnStdout takes standard output away from everybody else.
func OwnStdout() *os.File { return ownStdout() }

// MethodOfBrokenModule is the answer of a module in which tunnelOpen panics.
func MethodOfBrokenModule(t *testing.T, payload []byte, log zerolog.Logger) (status int, body []byte) {
	t.Helper()
	return (&module{log: log}).Method(t.Context(), tunnelopen.MethodName, payload)
}

// MethodBeforeTwin is the answer of a module that has had no twin yet.
func MethodBeforeTwin(t *testing.T, payload []byte, log zerolog.Logger) (status int, body []byte) {
	t.Helper()
	noProxy := func(string, string) (config.RemoteProxy, error) { return config.RemoteProxy{}, nil }
	level, _ := newLiveLevel("")
	m := newModule(log, level, config.Module{RemoteProxy: noProxy}, nil, newObserver(log, nil, usualTimes()))
	return m.Method(t.Context(), tunnelopen.MethodName, payload)
}

// Due tells whether the hub hears of these signs at now, if it heard at told of none.
func Due(told, now time.Time, tunnels int, looks, opened, failed, bytesUp int64) bool {
	n := notices{pace: usualTimes().ReportPace, at: told}
	return n.due(signs{tunnels, looks, tunnel.Totals{Opened: opened, Failed: failed, BytesUp: bytesUp}}, now)
}

// Told tells whether the hub is told this at now, if it was told of counters at told.
func Told(told, now time.Time, patch map[string]any) bool {
	return !(&module{totalsAt: told}).isTooEarly(patch, now)
}

// MethodOf is tunnelOpen of a module that has this twin and no hub.
func MethodOf(t *testing.T, roots *x509.CertPool, doc string) func(payload string) (status int, body string) {
	t.Helper()
	cfg := config.Module{AllowLoopbackRemote: true, RemoteProxy: func(string, string) (config.RemoteProxy, error) {
		return config.RemoteProxy{For: func(*url.URL) (*url.URL, error) { return nil, nil }}, nil
	}}
	level, _ := newLiveLevel("")
	m := newModule(zerolog.Nop(), level, cfg, roots, newObserver(zerolog.Nop(), nil, usualTimes()))
	m.seen.hub, m.seen.report = func() edge.State { return edge.State{} }, func() {}
	m.Twin([]byte(doc), edge.Connection{})
	t.Cleanup(func() { _ = m.tunnels.Shutdown(context.Background()) })
	return func(payload string) (int, string) {
		status, body := m.Method(t.Context(), tunnelopen.MethodName, []byte(payload))
		return status, string(body)
	}
}

// RemotePolicy is a remotePolicy for tests without a twin.
type RemotePolicy struct{ p *remotePolicy }

// NewRemotePolicy is one of this environment.
func NewRemotePolicy(cfg config.Module) RemotePolicy { return RemotePolicy{newRemotePolicy(cfg)} }

// SetRemotes is what a twin does.
func (p RemotePolicy) SetRemotes(r policy.Remotes) { p.p.setRemotes(r) }

// SetProxy is what a twin does.
func (p RemotePolicy) SetProxy(address, noProxy string) (config.RemoteProxy, error) {
	return p.p.setProxy(address, noProxy)
}

// Endpoint is the policy by name.
func (p RemotePolicy) Endpoint(text string) error {
	u, err := url.Parse(text)
	if err == nil {
		_, err = p.p.allow(u)
	}
	return err
}

// Judge is the policy by address.
func (p RemotePolicy) Judge(addr netip.Addr) error { return p.p.judge(addr) }

// Proxy is what its dialer asks.
func (p RemotePolicy) Proxy(u *url.URL) (*url.URL, error) { return p.p.dialer(nil).Proxy(u) }

// Dialer dials by it.
func (p RemotePolicy) Dialer(roots *x509.CertPool) wsconn.Dialer { return p.p.dialer(roots) }

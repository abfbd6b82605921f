package module

import (
	"context"
	"crypto/x509"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/policy"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/wire/wsconn"
)

// Times are durations that tests shorten.
type Times = times

// FitMemory is the module's, with a given limit of the container.
func FitMemory(limit func() (uint64, error)) { fitMemory(limit) }

// UsualTimes returns the durations of the product.
func UsualTimes() Times { return usualTimes() }

// RunAt is Run with other durations.
func RunAt(ctx context.Context, stdout, stderr io.Writer, t Times) error {
	return run(ctx, stdout, stderr, t)
}

// TwinOfBrokenModule gives doc to a module without its parts, which panics.
func TwinOfBrokenModule(doc []byte) (reported []byte) {
	return new(module).Twin(doc, hublink.Connection{})
}

// Liveness returns the limits of a tunnel with these properties, in the twin's sense.
func Liveness(ping, stall time.Duration) wsconn.Liveness {
	return liveness(twin.Tunnels{Ping: ping, StallTimeout: stall})
}

// TakeStdout returns standard output, which other code cannot write to afterwards.
func TakeStdout() *os.File { return takeStdout() }

// MethodOfBrokenModule calls tunnelOpen of a module without its parts, which panics.
func MethodOfBrokenModule(t *testing.T, payload []byte, log zerolog.Logger) (status int, body []byte) {
	t.Helper()
	return (&module{log: log}).Method(t.Context(), tunnelopen.MethodName, payload)()
}

// MethodBeforeTwin calls tunnelOpen of a module before its first twin.
func MethodBeforeTwin(t *testing.T, payload []byte, log zerolog.Logger) (status int, body []byte) {
	t.Helper()
	noProxy := func(string, string) (config.RemoteProxy, error) { return config.RemoteProxy{}, nil }
	level, _ := newLevelSampler("")
	m := newModule(log, level, config.Module{RemoteProxy: noProxy}, nil, newObserver(log, nil, usualTimes()))
	return m.Method(t.Context(), tunnelopen.MethodName, payload)()
}

// ReportDue tells whether this activity is reported at now, if at reported there was none.
func ReportDue(reported, now time.Time, tunnels int, cameraState, opened, failed, bytesUp int64) bool {
	s := reportSchedule{interval: usualTimes().ReportPace, at: reported}
	return s.due(activity{tunnels, cameraState, tunnel.Totals{Opened: opened, Failed: failed, BytesUp: bytesUp}}, now)
}

// IsReported tells whether a patch is reported at now, if counters were reported at totals.
func IsReported(totals, now time.Time, patch map[string]any) bool {
	return !(&module{totalsAt: totals}).isTooEarly(patch, now)
}

// MethodOf returns tunnelOpen of a module with this twin and without a hub.
func MethodOf(t *testing.T, roots *x509.CertPool, doc string) func(payload string) (status int, body string) {
	t.Helper()
	cfg := config.Module{AllowLoopbackRemote: true, RemoteProxy: func(string, string) (config.RemoteProxy, error) {
		return config.RemoteProxy{For: func(*url.URL) (*url.URL, error) { return nil, nil }}, nil
	}}
	level, _ := newLevelSampler("")
	m := newModule(zerolog.Nop(), level, cfg, roots, newObserver(zerolog.Nop(), nil, usualTimes()))
	m.observer.hub, m.observer.report = func() hublink.State { return hublink.State{} }, func() {}
	m.Twin([]byte(doc), hublink.Connection{})
	t.Cleanup(func() { _ = m.tunnels.Shutdown(context.Background()) })
	return func(payload string) (int, string) {
		status, body := m.Method(t.Context(), tunnelopen.MethodName, []byte(payload))()
		return status, string(body)
	}
}

// RemotePolicy is the policy for remote endpoints without a module.
type RemotePolicy struct{ p *remotePolicy }

// NewRemotePolicy returns the policy of this environment, before the first twin.
func NewRemotePolicy(cfg config.Module) RemotePolicy { return RemotePolicy{newRemotePolicy(cfg)} }

// SetRemotes applies the allowed hosts of a twin.
func (p RemotePolicy) SetRemotes(r policy.Remotes) { p.p.setRemotes(r) }

// SetProxy applies the proxy of a twin.
func (p RemotePolicy) SetProxy(address, noProxy string) (config.RemoteProxy, error) {
	return p.p.setProxy(address, noProxy)
}

// Endpoint judges an endpoint by name.
func (p RemotePolicy) Endpoint(text string) error {
	u, err := url.Parse(text)
	if err == nil {
		_, err = p.p.allow(u)
	}
	return err
}

// Judge judges an address.
func (p RemotePolicy) Judge(addr netip.Addr) error { return p.p.judge(addr) }

// Proxy returns the proxy for a URL, as the dialer asks for it.
func (p RemotePolicy) Proxy(u *url.URL) (*url.URL, error) { return p.p.dialer(nil).Proxy(u) }

// Dialer returns a dialer that obeys the policy.
func (p RemotePolicy) Dialer(roots *x509.CertPool) wsconn.Dialer { return p.p.dialer(roots) }

// DefaultGateways returns the default gateways in the routing tables of a folder.
func DefaultGateways(tables fs.FS) ([]netip.Addr, error) { return defaultGateways(tables) }

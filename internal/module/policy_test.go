package module_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/policy"
)

// Without the lab switch no notation of an endpoint leads back to the device.
func TestTunnelOpen_notToTheDeviceItself(t *testing.T) {
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	delete(s.env, "RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE")
	s.run(t)
	s.desire(t, map[string]any{"front": at(cam, 554)})
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST.", "0.0.0.0"}
	for _, host := range hosts {
		if status, body := s.invoke(t, "tunnelOpen", payload("wss://"+host+":"+port+"/", "tok", 554)); status == 200 {
			t.Errorf("%s: %d %v", host, status, body)
		}
	}
	s.log.Await(t, "reason=POLICY_REMOTE", 1)
	if len(r.tunnels) != 0 {
		t.Errorf("%d tunnels were opened", len(r.tunnels))
	}
	if got, want := s.state(t), (state{"healthy", []string{}}); !cmp.Equal(got, want) {
		t.Errorf("reported: %+v", got)
	}
}

// A name that resolves to the device's own address is refused when it is dialed.
func TestTunnelOpen_notToANameOfTheDevice(t *testing.T) {
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	delete(s.env, "RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE")
	resolve(t, map[string][4]byte{"gw.example.": {127, 0, 0, 1}})
	s.run(t)
	s.desire(t, map[string]any{"front": at(cam, 554)})
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if status, body := s.invoke(t, "tunnelOpen", payload("wss://gw.example:"+port+"/", "tok", 554)); status == 200 {
		t.Errorf("%d %v", status, body)
	}
	s.log.Await(t, "reason=POLICY_REMOTE", 1)
}

// Lab switches are logged and reported.
func TestLabSwitches_areReported(t *testing.T) {
	s := newSite(t)
	s.env["RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE"], s.env["RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE"] = "true", "true"
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"degraded", []string{"LAB_LOOPBACK", "LAB_PLAINTEXT"}}); !cmp.Equal(got, want) {
		t.Errorf("reported: %+v", got)
	}
	for _, code := range []string{"LAB_LOOPBACK", "LAB_PLAINTEXT"} {
		s.log.Await(t, "reason="+code, 1)
	}
}

func TestTunnelOpen_userAgentSuffix(t *testing.T) {
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.env["RTSPTUNNEL_USER_AGENT_SUFFIX"] = "Contoso/EdgeBox-3"
	s.run(t)
	s.desire(t, map[string]any{"front": at(cam, 554)})
	far := s.open(t, r, 554)
	if ua := far.header.Get("User-Agent"); !strings.HasPrefix(ua, "rtsptunnel/") || !strings.HasSuffix(ua, ") Contoso/EdgeBox-3") {
		t.Errorf("User-Agent %q", ua)
	}
}

// A twin can change hosts and proxy at any time. An invalid proxy changes nothing.
func TestRemotePolicy_changesLive(t *testing.T) {
	t.Setenv("IotHubConnectionString", "HostName=h;DeviceId=d;SharedAccessKey=a2V5")
	t.Setenv("https_proxy", "http://site:3128")
	cfg, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	p := module.NewRemotePolicy(cfg)
	via := func() string {
		u, err := p.Proxy(&url.URL{Scheme: "https", Host: "gw.example"})
		if err != nil || u == nil {
			return ""
		}
		return u.Host
	}
	if err := p.Endpoint("wss://gw.example/"); err != nil || via() != "site:3128" {
		t.Errorf("%v, via %s", err, via())
	}
	p.SetRemotes(policy.Remotes{})
	if err := p.Endpoint("wss://gw.example/"); reason.Of(err) != reason.PolicyRemote {
		t.Errorf("%v", err)
	}
	if in, err := p.SetProxy("http://twin:80", ""); err != nil || in.Origin != config.ProxyTwin || via() != "twin:80" {
		t.Errorf("%+v, %v, via %s", in, err, via())
	}
	if in, err := p.SetProxy("http://u:canary@other", ""); err == nil || in.Host != "twin:80" || via() != "twin:80" || strings.Contains(err.Error(), "canary") {
		t.Errorf("%+v, %v, via %s", in, err, via())
	}
	if in, err := p.SetProxy("", "gw.example"); err != nil || in.Origin != config.ProxyEnvironment || via() != "" {
		t.Errorf("%+v, %v, via %s", in, err, via())
	}
}

// A TLS session is resumed without verifying the certificate again: so the policy forgets
// all sessions when the allowed hosts or the proxy change.
func TestRemotePolicy_forgetsSessions(t *testing.T) {
	r := newRemote(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.ca.CertPEM())
	direct := config.RemoteProxy{For: func(*url.URL) (*url.URL, error) { return nil, nil }}
	p := module.NewRemotePolicy(config.Module{
		AllowLoopbackRemote: true,
		RemoteProxy: func(address, _ string) (config.RemoteProxy, error) {
			if address == "refused" {
				return config.RemoteProxy{}, errors.New("no URL")
			}
			return direct, nil
		},
	})
	resumed := func() bool {
		t.Helper()
		u, err := url.Parse(r.endpoint())
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.Dialer(roots).Dial(t.Context(), u, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		far := <-r.tunnels
		defer far.Close()
		if err := far.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // the session ticket comes before this byte
			t.Fatal(err)
		}
		return far.NetConn().(*tls.Conn).ConnectionState().DidResume
	}
	for _, step := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"the first", func() {}, false},
		{"the second", func() {}, true},
		{"other hosts", func() { p.SetRemotes(policy.Any()) }, false},
		{"after that", func() {}, true},
		{"another proxy", func() { _, _ = p.SetProxy("", "other.example") }, false},
		{"a refused proxy", func() { _, _ = p.SetProxy("refused", "") }, true},
	} {
		step.change()
		if got := resumed(); got != step.want {
			t.Errorf("%s: resumed %t", step.name, got)
		}
	}
}

// The addresses of all interfaces are the device's own.
func TestRemotePolicy_ownAddresses(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil || len(addresses) == 0 {
		t.Skip("no interfaces here: ", err)
	}
	for _, lab := range []bool{false, true} {
		p := module.NewRemotePolicy(config.Module{RemoteProxy: func(string, string) (config.RemoteProxy, error) { return config.RemoteProxy{}, nil }, AllowLoopbackRemote: lab})
		for _, a := range addresses {
			own := netip.MustParsePrefix(a.String()).Addr()
			if err := p.Judge(own); (err == nil) != (lab && !own.IsLinkLocalUnicast()) {
				t.Errorf("%s, in a lab %t: %v", own, lab, err)
			}
		}
		if err := p.Judge(netip.MustParseAddr("198.51.100.77")); err != nil {
			t.Errorf("a foreign address: %v", err)
		}
	}
}

package hubconn_test

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/nettest"
	"rtsptunnel/internal/testkit/porttest"
)

// With a proxy there is no direct fallback: the proxy resolves the hub's name, and no name
// server is asked for it while the proxy refuses, wants a login, or answers garbage.
func TestProxy_isTheOnlyWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.direct(t)
	dns := &nettest.NameServer{Code: dnsmessage.RCodeNameError}
	proxy := nettest.NewProxy(t, map[string]string{hubtest.HubName + ":443": s.HTTPSAddr()})
	s.o.Resolver, s.o.Proxy = dns.Resolver(t), proxy.For
	var said strings.Builder
	connect := func() error {
		err := s.connect(t, hubconn.MQTTWS, "", patience)
		if err != nil {
			said.WriteString(err.Error())
		}
		return err
	}
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answer string
		want   reason.Code
	}{
		{"HTTP/1.1 407 canary\r\n\r\n", reason.ProxyLogin},
		{"HTTP/1.1 403 canary\r\n\r\n", reason.ProxyHTTP},
		{"HTTP/1.1 302 Found\r\nLocation: https://" + s.HTTPSAddr() + "/\r\n\r\n", reason.ProxyHTTP},
		{"canary\r\n\r\n", reason.ProxyDown},
		{"HTTP/1.1 200 OK\r\n\r\ngarbage that is no TLS", reason.HubTLS},
	} {
		proxy.Say(c.answer)
		expect(t, connect(), c.want, "")
	}
	proxy.Say("")
	if err := connect(); err != nil {
		t.Fatal(err)
	}
	for _, request := range proxy.Requests() {
		if request.Method != "CONNECT" || request.RequestURI != hubtest.HubName+":443" || request.Header.Get("Proxy-Authorization") != nettest.ProxyAuthorization {
			t.Errorf("the proxy got %s %s, %v", request.Method, request.RequestURI, request.Header)
		}
	}
	if asked := dns.Questions(); len(asked) != 0 {
		t.Errorf("a name server was asked: %v", asked)
	}
	if all := said.String() + s.log.String(); strings.Contains(all, "canary") || strings.Contains(all, nettest.ProxyAuthorization) {
		t.Errorf("the proxy's credentials or text are in an error or the log:\n%s", all)
	}
}

// If the proxy is down, or its settings cannot be evaluated, there is no direct fallback.
func TestProxy_isDown(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]func(*url.URL) (*url.URL, error){
		"down":     (&nettest.Proxy{Address: porttest.Reserve(t)}).For,
		"no rules": func(*url.URL) (*url.URL, error) { return nil, net.UnknownNetworkError("x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.direct(t)
			dns := &nettest.NameServer{Code: dnsmessage.RCodeNameError}
			s.o.Resolver, s.o.Proxy = dns.Resolver(t), rules
			for _, p := range protocols {
				expect(t, s.connect(t, p, "", patience), reason.ProxyDown, "")
				if !s.dialer(t).Route(p, "").Proxied() {
					t.Errorf("%s: the route does not count as proxied", p)
				}
			}
			if asked := dns.Questions(); len(asked) != 0 {
				t.Errorf("asked for %v", asked)
			}
		})
	}
}

// The edge hub is inside the site: no proxy is used for it.
func TestProxy_notForTheGateway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	proxy := nettest.NewProxy(t, nil)
	s.o.Proxy = proxy.For
	for _, p := range protocols {
		if err := s.connect(t, p, s.address(p), patience); err != nil {
			t.Error(err)
		}
	}
	if got := proxy.Requests(); len(got) != 0 {
		t.Errorf("the proxy got %v", got)
	}
}

// If the gateway's name does not exist, this machine is dialed instead and must have the
// gateway's certificate. The log has one line about it.
func TestGateway_atLoopback(t *testing.T) {
	t.Parallel()
	for name, published := range map[string]bool{"published": true, "not published": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			dns := &nettest.NameServer{Code: dnsmessage.RCodeNameError}
			s.o.Resolver = dns.Resolver(t)
			address := s.MQTTAddr()
			if !published {
				address = porttest.Reserve(t)
			}
			d := s.dialer(t)
			r := hubconn.WithLoopback(d.Route(hubconn.MQTT, ""), address)
			for range 2 {
				err := use(t, d, r, patience, func(*hubconn.Conn) error { return nil })
				if !published {
					expect(t, err, reason.HubRefused, "on the host network it must publish its ports")
				} else if err != nil {
					t.Error(err)
				}
			}
			if n := strings.Count(s.log.String(), `"gateway":"`+hubtest.GatewayName+`","address":"`+address+`"`); n != 1 {
				t.Errorf("%d lines:\n%s", n, s.log)
			}
			if !slices.Contains(dns.Questions(), hubtest.GatewayName+".") {
				t.Errorf("asked for %v", dns.Questions())
			}
		})
	}
}

// This machine is dialed only if a name server says that the gateway's name does not exist;
// a name server that fails does not say so. It is never dialed for the hub itself.
func TestNames_unknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    dnsmessage.RCode
		gateway bool
	}{
		"gateway, name server fails": {dnsmessage.RCodeServerFailure, true},
		"hub":                        {dnsmessage.RCodeNameError, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if !c.gateway {
				s.direct(t)
			}
			came := make(chan bool, 64)
			s.o.Resolver = (&nettest.NameServer{Code: c.code}).Resolver(t)
			d := s.dialer(t)
			r := d.Route(hubconn.MQTT, "")
			if c.gateway {
				r = hubconn.WithLoopback(r, nettest.Listen(t, func(net.Conn) { came <- true }))
			}
			expect(t, use(t, d, r, patience, func(*hubconn.Conn) error { return nil }), reason.HubDNS, "")
			if len(came) != 0 {
				t.Error("this machine was dialed")
			}
		})
	}
}

// Probe reaches a listener without sending anything, and Unreachable recognizes an address
// without one, also behind a proxy that cannot connect.
func TestProbe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.anyKey()
	received := make(chan error, 1)
	listening := nettest.Listen(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		received <- err
	})
	d := s.dialer(t)
	if err := d.Probe(t.Context(), d.Route(hubconn.MQTT, listening)); err != nil {
		t.Error(err)
	}
	if err := <-received; err == nil {
		t.Error("a probe sent something")
	}
	if err := d.Probe(t.Context(), d.Route(hubconn.MQTT, porttest.Reserve(t))); !hubconn.Unreachable(err) {
		t.Errorf("no listener: %v", err)
	}
	if d.ProbeWorkload(t.Context()) == nil {
		t.Error("there is no workload API for a key")
	}
	s.direct(t)
	s.o.Proxy = nettest.NewProxy(t, nil).For // 502 for every address
	d = s.dialer(t)
	if err := d.Probe(t.Context(), d.Route(hubconn.MQTT, listening)); !hubconn.Unreachable(err) {
		t.Errorf("no listener behind the proxy: %v", err)
	}
	if hubconn.Unreachable(nil) {
		t.Error("no error counts as unreachable")
	}
}

package edge_test

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/testkit/hubtest"
)

// Each protocol serves, says which it is, and never dials the other's port, whatever
// happens to its own.
func TestProtocol_dialsItsOwnPortAlone(t *testing.T) {
	t.Parallel()
	for _, p := range []edge.Protocol{edge.MQTT, edge.MQTTWS} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			came := make(chan string, 64)
			other := hangUp(t, came, "the other port")
			s.o.Protocol, s.o.WebSocketAddress = p, s.HTTPSAddr()
			if p == edge.MQTT {
				s.o.WebSocketAddress = other
			} else {
				s.o.Address = other
			}
			stop := s.run(t)
			for n := range 3 {
				if status, body := s.Invoke(t, "x", `"`+strings.Repeat("y", 100_000)+`"`); status != 299 || len(body) < 100_000 {
					t.Errorf("answer %d %.100s", status, body)
				}
				s.log.Await(t, "connected to the hub", n+1) // told after the first calls are answered
				s.Drop(s.ID.Device, s.ID.Module)
			}
			stop()
			s.o.Address, s.o.WebSocketAddress = nobodyFor(t, p, other)
			stop = s.run(t)
			s.log.Await(t, "repeated 4 times", 1)
			stop()
			if len(came) != 0 {
				t.Errorf("the other port was dialled %d times", len(came))
			}
			if log := s.log.String(); !strings.Contains(log, `"protocol":"`+string(p)+`","failedAttempts":0`) ||
				!strings.Contains(log, `"reason":"HUB_REFUSED","protocol":"`+string(p)+`"`) {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

// nobodyFor are addresses of which that of p is nobody's.
func nobodyFor(t *testing.T, p edge.Protocol, other string) (address, webSocketAddress string) {
	t.Helper()
	if p == edge.MQTT {
		return nobody(t), other
	}
	return other, nobody(t)
}

// 8883 comes first and twice; then the two alternate; the one that led to the hub is
// the first after a loss.
func TestProtocol_autoAlternates(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	came := make(chan string, 64)
	s.o.Address = hangUp(t, came, "8883")
	s.o.WebSocketAddress = listen(t, func(near net.Conn) {
		came <- "443"
		if far, err := net.Dial("tcp", s.HTTPSAddr()); err == nil {
			pass(near, strings.NewReader(""), far)
		}
	})
	stop := s.run(t)
	s.log.Await(t, "connected to the hub", 1)
	s.Drop(s.ID.Device, s.ID.Module)
	s.log.Await(t, "connected to the hub", 2)
	stop()
	var got []string
	for len(came) > 0 {
		got = append(got, <-came)
	}
	got = slices.Compact(got) // after a loss somebody looks whether the hub is still there
	if d := cmp.Diff([]string{"8883", "443"}, got); d != "" {
		t.Errorf("%s\n%s", d, s.log)
	}
	if !strings.Contains(s.log.String(), `"protocol":"mqttws","failedAttempts":2`) {
		t.Errorf("the log:\n%s", s.log)
	}
}

func TestProtocol_order(t *testing.T) {
	id := edge.Identity{HubHost: "hub1"}
	proxied := func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy"}, nil }
	exempt8883 := func(u *url.URL) (*url.URL, error) {
		if u.Port() == "8883" {
			return nil, nil
		}
		return proxied(u)
	}
	for name, c := range map[string]struct {
		o      edge.Options
		arrive []int
		want   string
	}{
		"auto":              {edge.Options{Identity: id}, nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt"},
		"auto, 443 arrives": {edge.Options{Identity: id}, []int{2}, "mqtt mqtt mqttws mqttws mqttws mqtt mqttws mqtt"},
		"auto, back again":  {edge.Options{Identity: id, Protocol: edge.Auto}, []int{2, 5}, "mqtt mqtt mqttws mqttws mqttws mqtt mqtt mqtt"},
		"mqtt":              {edge.Options{Identity: id, Protocol: edge.MQTT, Proxy: proxied}, nil, "mqtt mqtt mqtt mqtt mqtt mqtt mqtt mqtt"},
		"mqttws":            {edge.Options{Identity: id, Protocol: edge.MQTTWS}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
		"through a proxy":   {edge.Options{Identity: id, Proxy: proxied}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
		"8883 past a proxy": {edge.Options{Identity: id, Proxy: exempt8883}, nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt"},
		"gateway": {
			edge.Options{Identity: edge.Identity{HubHost: "hub1", GatewayHost: "edge1"}, Proxy: proxied},
			nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt",
		},
		"one address":       {edge.Options{Identity: id, Address: "h:1"}, nil, "mqtt mqtt mqtt mqtt mqtt mqtt mqtt mqtt"},
		"the other address": {edge.Options{Identity: id, WebSocketAddress: "h:1"}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
	} {
		var got []string
		for _, p := range edge.Protocols(c.o, 8, c.arrive...) {
			got = append(got, string(p))
		}
		if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Through a proxy and in no other way: the hub's name is the proxy's to resolve, and
// nobody else is asked for it while the proxy refuses, wants a login, or is silent.
func TestProxy_isTheOnlyWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.direct(t)
	dns := &names{code: dnsmessage.RCodeNameError}
	r := newRelay(t, map[string]string{hubtest.HubName + ":443": s.HTTPSAddr()})
	s.o.Address, s.o.Resolver, s.o.Proxy = "", dns.resolver(t), r.through
	s.run(t)
	s.log.Await(t, "connected to the hub", 1)
	if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
		t.Errorf("status %d", status)
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
		r.say(c.answer)
		s.Drop(s.ID.Device, s.ID.Module)
		s.log.Await(t, `"reason":"`+string(c.want)+`"`, 1)
	}
	r.say("")
	s.log.Await(t, "connected to the hub", 2)
	for _, request := range r.requests() {
		if request.Method != "CONNECT" || request.RequestURI != hubtest.HubName+":443" || request.Header.Get("Proxy-Authorization") != proxyLogin {
			t.Errorf("the proxy got %s %s, %v", request.Method, request.RequestURI, request.Header)
		}
	}
	if asked := dns.questions(); len(asked) != 0 {
		t.Errorf("the hub was looked for past the proxy: %v", asked)
	}
	if log := s.log.String(); strings.Contains(log, "canary") || strings.Contains(log, proxyLogin) {
		t.Errorf("the proxy's login or words are in the log:\n%s", log)
	}
}

// A proxy that is down, or rules that are none, are no permission to go around it.
func TestProxy_isDown(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]func(*url.URL) (*url.URL, error){
		"down":     (&relay{address: nobody(t)}).through,
		"no rules": func(*url.URL) (*url.URL, error) { return nil, net.UnknownNetworkError("x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.direct(t)
			dns := &names{code: dnsmessage.RCodeNameError}
			s.o.Address, s.o.Resolver, s.o.Proxy = "", dns.resolver(t), rules
			s.run(t)
			s.log.Await(t, `"reason":"PROXY_DOWN","protocol":"mqttws"`, 2)
			if asked := dns.questions(); len(asked) != 0 {
				t.Errorf("asked for %v", asked)
			}
			if log := s.log.String(); strings.Contains(log, `"protocol":"mqtt"`) {
				t.Errorf("port 8883 was tried:\n%s", log)
			}
		})
	}
}

// The edge hub is inside the site, whatever the rules say.
func TestProxy_notForTheGateway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newRelay(t, nil)
	s.o.Proxy = r.through
	s.run(t)
	s.Invoke(t, "x", `{}`)
	if got := r.requests(); len(got) != 0 {
		t.Errorf("the proxy got %v", got)
	}
}

// Where the gateway's name does not exist, this machine is dialled, by the gateway's
// name; the log says so once.
func TestGateway_atLoopback(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"published": "", "not published": nobody(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			dns := &names{code: dnsmessage.RCodeNameError}
			if address == "" {
				address = s.o.Address
			}
			s.o.Address, s.o.Resolver, s.o.Protocol = "", dns.resolver(t), edge.MQTT
			c, err := edge.New(s.o)
			if err != nil {
				t.Fatal(err)
			}
			edge.AtLoopback(c, address)
			s.keep(t, c)
			if name == "published" {
				s.log.Await(t, "connected to the hub", 1)
				s.Drop(s.ID.Device, s.ID.Module)
				s.log.Await(t, "connected to the hub", 2)
			} else {
				s.log.Await(t, `"reason":"HUB_REFUSED"`, 2)
				s.log.Await(t, "on the host network it must publish its ports", 2)
			}
			if n := strings.Count(s.log.String(), "does not resolve, as on the host network"); n != 1 {
				t.Errorf("said %d times:\n%s", n, s.log)
			}
			if !slices.Contains(dns.questions(), hubtest.GatewayName+".") {
				t.Errorf("asked for %v", dns.questions())
			}
		})
	}
}

// A name server that fails is no proof that the name does not exist; and the hub is
// not on this machine.
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
			came := make(chan string, 64)
			s.o.Address, s.o.Resolver, s.o.Protocol = "", (&names{code: c.code}).resolver(t), edge.MQTT
			client, err := edge.New(s.o)
			if err != nil {
				t.Fatal(err)
			}
			if c.gateway {
				edge.AtLoopback(client, hangUp(t, came, "loopback"))
			}
			s.keep(t, client)
			s.log.Await(t, `"reason":"HUB_DNS"`, 2)
			if len(came) != 0 {
				t.Error("this machine was dialled")
			}
		})
	}
}

// What keeps a hub away for a week has some lines, not thousands; each says when the
// next attempt is.
func TestFailures_areFolded(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320}, edge.Told(330)); d != "" {
		t.Error(d)
	}
	s := newSite(t)
	s.o.Address = nobody(t)
	begin := time.Now()
	s.run(t)
	s.log.Await(t, "no hub connection, repeated 2 times: the hub refused the connection", 1)
	next := between(s.log.String(), `"nextAttempt":"`, `"`)
	if at, err := time.Parse(time.RFC3339, next); err != nil || at.Before(begin.Truncate(time.Second)) || at.After(time.Now().Add(time.Minute)) {
		t.Errorf("next attempt at %q, %v", next, err)
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

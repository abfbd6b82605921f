package hublink_test

import (
	"crypto/x509"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/nettest"
	"rtsptunnel/internal/testkit/porttest"
)

// Each protocol serves, is named in the log, and never dials the other's port, whatever
// happens to its own.
func TestProtocol_dialsItsOwnPortAlone(t *testing.T) {
	t.Parallel()
	for _, p := range []hubconn.Protocol{hubconn.MQTT, hubconn.MQTTWS} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			came := make(chan string, 64)
			other := nettest.Listen(t, func(net.Conn) { came <- "the other port" })
			s.o.Protocol, s.o.WebSocketAddress = p, s.HTTPSAddr()
			if p == hubconn.MQTT {
				s.o.WebSocketAddress = other
			} else {
				s.o.Address = other
			}
			stop := s.run(t)
			for n := range 3 {
				if status, body := s.Invoke(t, "x", `"`+strings.Repeat("y", 100_000)+`"`); status != 299 || len(body) < 100_000 {
					t.Errorf("answer %d %.100s", status, body)
				}
				s.log.Await(t, connected, n+1) // logged after the first calls are answered
				s.Drop(s.ID.Device, s.ID.Module)
			}
			stop()
			if refused := porttest.Reserve(t); p == hubconn.MQTT {
				s.o.Address = refused
			} else {
				s.o.WebSocketAddress = refused
			}
			stop = s.run(t)
			s.log.Await(t, `"reason":"HUB_REFUSED"`, 4)
			stop()
			if len(came) != 0 {
				t.Errorf("the other port was dialed %d times", len(came))
			}
			if log := s.log.String(); !strings.Contains(log, `"protocol":"`+string(p)+`","failedAttempts":0`) ||
				!strings.Contains(log, `"reason":"HUB_REFUSED","protocol":"`+string(p)+`"`) {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

// 8883 is tried first and twice, then the two alternate. The route that led to the hub is
// tried first after a loss.
func TestProtocol_autoAlternates(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	came := make(chan string, 64)
	s.o.Address = nettest.Listen(t, func(net.Conn) { came <- "8883" })
	s.o.WebSocketAddress = nettest.Listen(t, func(near net.Conn) {
		came <- "443"
		if far, err := net.Dial("tcp", s.HTTPSAddr()); err == nil {
			nettest.Relay(near, strings.NewReader(""), far)
		}
	})
	stop := s.run(t)
	s.log.Await(t, connected, 1)
	s.Drop(s.ID.Device, s.ID.Module)
	s.log.Await(t, connected, 2)
	stop()
	var got []string
	for len(came) > 0 {
		got = append(got, <-came)
	}
	got = slices.Compact(got) // after a loss there are probes, too
	if d := cmp.Diff([]string{"8883", "443"}, got); d != "" {
		t.Errorf("%s\n%s", d, s.log)
	}
	if !strings.Contains(s.log.String(), `"protocol":"mqttws","failedAttempts":2`) {
		t.Errorf("the log:\n%s", s.log)
	}
}

func TestProtocol_order(t *testing.T) {
	key := hubconn.SymmetricKey{
		Key:   func() ([]byte, error) { return []byte("key"), nil },
		Roots: func() (*x509.CertPool, error) { return nil, nil },
	}
	conn := hubconn.Options{Identity: hubconn.Identity{HubHost: "hub1"}}
	gateway := hubconn.Options{Identity: hubconn.Identity{HubHost: "hub1", GatewayHost: "edge1"}}
	proxied := func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy"}, nil }
	exempt8883 := func(u *url.URL) (*url.URL, error) {
		if u.Port() == "8883" {
			return nil, nil
		}
		return proxied(u)
	}
	with := func(o hubconn.Options, proxy func(*url.URL) (*url.URL, error)) hubconn.Options {
		o.Proxy = proxy
		return o
	}
	for name, c := range map[string]struct {
		o      hublink.Options
		arrive []int
		want   string
	}{
		"auto":               {hublink.Options{Conn: conn}, nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt"},
		"auto, 443 arrives":  {hublink.Options{Conn: conn}, []int{2}, "mqtt mqtt mqttws mqttws mqttws mqtt mqttws mqtt"},
		"auto, back again":   {hublink.Options{Conn: conn, Protocol: hublink.Auto}, []int{2, 5}, "mqtt mqtt mqttws mqttws mqttws mqtt mqtt mqtt"},
		"mqtt":               {hublink.Options{Conn: with(conn, proxied), Protocol: hubconn.MQTT}, nil, "mqtt mqtt mqtt mqtt mqtt mqtt mqtt mqtt"},
		"mqttws":             {hublink.Options{Conn: conn, Protocol: hubconn.MQTTWS}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
		"through a proxy":    {hublink.Options{Conn: with(conn, proxied)}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
		"8883 without proxy": {hublink.Options{Conn: with(conn, exempt8883)}, nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt"},
		"gateway":            {hublink.Options{Conn: with(gateway, proxied)}, nil, "mqtt mqtt mqttws mqtt mqttws mqtt mqttws mqtt"},
		"one address":        {hublink.Options{Conn: conn, Address: "h:1"}, nil, "mqtt mqtt mqtt mqtt mqtt mqtt mqtt mqtt"},
		"the other address":  {hublink.Options{Conn: conn, WebSocketAddress: "h:1"}, nil, "mqttws mqttws mqttws mqttws mqttws mqttws mqttws mqttws"},
	} {
		var got []string
		c.o.Conn.Identity.Auth = key
		l, err := hublink.New(c.o)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range hublink.Protocols(l, 8, c.arrive...) {
			got = append(got, string(p))
		}
		if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// A hub that stays away for a week causes some lines and not thousands. Each has the time of
// the next attempt.
func TestFailures_areFolded(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320}, hublink.Warned(330)); d != "" {
		t.Error(d)
	}
	s := newSite(t)
	s.o.Address = porttest.Reserve(t)
	begin := time.Now()
	s.run(t)
	s.log.Await(t, `"reason":"HUB_REFUSED"`, 2)
	if log := s.log.String(); !strings.Contains(log, "no hub connection, repeated 2 times: the hub refused the connection") {
		t.Errorf("the log:\n%s", log)
	}
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

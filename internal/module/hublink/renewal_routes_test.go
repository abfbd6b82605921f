package hublink_test

import (
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/nettest"
)

// A token is replaced on every route to the hub: the calls in the meantime are answered, and
// the connection is never lost.
func TestRenew_onEachRoute(t *testing.T) {
	for name, route := range map[string]struct {
		protocol hubconn.Protocol
		proxy    bool
	}{
		"WebSocket": {hubconn.MQTTWS, false}, "proxy": {hubconn.MQTT, true}, "WebSocket and proxy": {hubconn.MQTTWS, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.o.Protocol, s.o.WebSocketAddress = route.protocol, s.HTTPSAddr()
			var proxy *nettest.Proxy
			if route.proxy {
				proxy = s.proxied(t)
			}
			s.o.Conn.TokenLifetime = 10 * time.Second
			c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Renew = 0.02 }) // after 0.2 to 1.2 s
			awaitState(t, s, c, "subscribed", ready)
			for c.State().Reconnects < 3 {
				if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
					t.Errorf("status %d", status)
				}
			}
			now := c.State()
			if log := s.log.String(); strings.Contains(log, failed) {
				t.Errorf("the connection was lost:\n%s", log)
			}
			if route.proxy && len(proxy.Requests()) < now.Attempts {
				t.Errorf("%d CONNECTs, %d attempts", len(proxy.Requests()), now.Attempts)
			}
		})
	}
}

// proxied puts the hub behind a proxy.
func (s *site) proxied(t *testing.T) *nettest.Proxy {
	t.Helper()
	proxy := nettest.NewProxy(t, map[string]string{hubtest.HubName + ":443": s.HTTPSAddr(), hubtest.HubName + ":8883": s.MQTTAddr()})
	s.o.Conn.Identity.GatewayHost, s.o.Conn.Identity.Auth = "", s.key(t)
	s.o.Conn.Proxy, s.o.Address, s.o.WebSocketAddress = proxy.For, "", ""
	return proxy
}

package edge_test

import (
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

// A token is replaced in the same way on every way to the hub: the calls that come
// meanwhile are answered, and the connection is never lost.
func TestRenew_onEachWay(t *testing.T) {
	for name, way := range map[string]struct {
		protocol edge.Protocol
		proxy    bool
	}{
		"WebSocket": {edge.MQTTWS, false}, "proxy": {edge.MQTT, true}, "WebSocket and proxy": {edge.MQTTWS, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.o.Protocol, s.o.WebSocketAddress = way.protocol, s.HTTPSAddr()
			var proxy *relay
			if way.proxy {
				proxy = s.proxied(t)
			}
			s.o.TokenLifetime = 10 * time.Second
			c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Renew = 0.02 }) // after 0.2 to 1.2 s
			awaitState(t, s, c, "subscribed", ready)
			for c.State().Reconnects < 3 {
				if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
					t.Errorf("status %d", status)
				}
			}
			now := c.State()
			if log := s.log.String(); strings.Contains(log, "no hub connection") || strings.Contains(log, "token not renewed") {
				t.Errorf("the connection was lost:\n%s", log)
			}
			if way.proxy && len(proxy.requests()) < now.Attempts {
				t.Errorf("%d CONNECTs, %d attempts", len(proxy.requests()), now.Attempts)
			}
		})
	}
}

// proxied puts the hub behind a proxy.
func (s *site) proxied(t *testing.T) *relay {
	t.Helper()
	r := newRelay(t, map[string]string{"hub.rtsptunnel.test:443": s.HTTPSAddr(), "hub.rtsptunnel.test:8883": s.MQTTAddr()})
	s.direct(t)
	s.o.Proxy, s.o.Address, s.o.WebSocketAddress = r.through, "", ""
	return r
}

package edge_test

import (
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/edge"
)

// A token is replaced in the same way on every way to the hub: the calls that come
// meanwhile are answered, and the connection is never lost.
func TestRenew_onEachWay(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *site) (proxied func() int){
		"WebSocket": func(_ *testing.T, s *site) func() int {
			s.o.Protocol, s.o.WebSocketAddress = edge.MQTTWS, s.HTTPSAddr()
			return nil
		},
		"proxy":               func(t *testing.T, s *site) func() int { return s.proxied(t, edge.MQTT) },
		"WebSocket and proxy": func(t *testing.T, s *site) func() int { return s.proxied(t, edge.MQTTWS) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			proxied := prepare(t, s)
			s.o.TokenLifetime = 10 * time.Second
			c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Renew = 0.1 }) // after 1 to 2 s
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
			if proxied != nil && proxied() < now.Attempts {
				t.Errorf("%d CONNECTs, %d attempts", proxied(), now.Attempts)
			}
		})
	}
}

// proxied puts the hub behind a proxy, by p, and counts the CONNECTs.
func (s *site) proxied(t *testing.T, p edge.Protocol) func() int {
	t.Helper()
	r := newRelay(t, map[string]string{"hub.rtsptunnel.test:443": s.HTTPSAddr(), "hub.rtsptunnel.test:8883": s.MQTTAddr()})
	s.direct(t)
	s.o.Proxy, s.o.Protocol, s.o.Address = r.through, p, ""
	return func() int { return len(r.requests()) }
}

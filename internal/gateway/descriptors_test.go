package gateway

import (
	"testing"

	"rtsptunnel/internal/gateway/config"
)

// Strangers and viewers leave three eighths of the descriptors to tunnels and cameras. With enough of
// them, as many viewers connect as the configuration allows.
func TestConnectionsOf(t *testing.T) {
	for _, test := range []struct{ descriptors, viewers, public, players, web, sockets int }{
		{1 << 20, 1000, 1, 2000, 1024, 1000},
		{1 << 20, 50_000, 1, 51_000, 1024, 50_000},
		{8192, 1000, 1, 2000, 1024, 1000},
		{8192, 50_000, 1, 3072, 1024, 1024},
		{1024, 1000, 1, 384, 128, 128},
		{1024, 1000, 2, 384, 64, 128},
		{0, 1000, 0, 1, 1, 1},
	} {
		c := &config.Config{}
		c.Limits.Viewers, c.Listen.Public = test.viewers, make([]config.Public, test.public)
		if got := connectionsOf(c, test.descriptors); got != (connections{test.players, test.web, test.sockets}) {
			t.Errorf("%+v: %+v", test, got)
		}
		if n := descriptorsFor(c); connectionsOf(c, n).players != playersWanted(c) || connectionsOf(c, n).sockets != c.Limits.Viewers {
			t.Errorf("%d descriptors are too few for %d viewers", n, test.viewers)
		}
	}
	if descriptors() < 64 {
		t.Errorf("%d descriptors", descriptors())
	}
}

package gateway

import (
	"testing"

	"rtsptunnel/internal/gateway/config"
)

// Strangers and players leave half of the descriptors to tunnels and cameras. With enough of
// them, as many viewers connect as the configuration allows.
func TestConnectionsOf(t *testing.T) {
	for _, test := range []struct{ descriptors, viewers, public, players, web int }{
		{1 << 20, 1000, 1, 2000, 1024},
		{1 << 20, 50_000, 1, 51_000, 1024},
		{8192, 1000, 1, 2000, 1024},
		{8192, 50_000, 1, 3072, 1024},
		{1024, 1000, 1, 384, 128},
		{1024, 1000, 2, 384, 64},
		{0, 1000, 0, 1, 1},
	} {
		c := &config.Config{}
		c.Limits.Viewers, c.Listen.Public = test.viewers, make([]config.Public, test.public)
		if got := connectionsOf(c, test.descriptors); got != (connections{test.players, test.web}) {
			t.Errorf("%+v: %+v", test, got)
		}
		if n := descriptorsFor(c); connectionsOf(c, n).players != playersWanted(c) {
			t.Errorf("%d descriptors are too few for %d viewers", n, test.viewers)
		}
	}
	if descriptors() < 64 {
		t.Errorf("%d descriptors", descriptors())
	}
}

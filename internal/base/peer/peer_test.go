package peer_test

import (
	"net/netip"
	"testing"

	"rtsptunnel/internal/base/peer"
)

func TestNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"::ffff:192.0.2.1":     "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := peer.Network(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s is of %s, want %s", text, got, want)
		}
	}
	if got := peer.Network(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address is of %s", got)
	}
}

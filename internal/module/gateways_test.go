package module_test

import (
	"io/fs"
	"net/netip"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/module"
)

// The routing tables of a container on a bridge network, with a second default route, one
// without a gateway, and lines that are none.
const (
	table4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010012AC	0003	0	0	0	00000000	0	0	0
eth1	00000000	FE01A8C0	0003	0	0	200	00000000	0	0	0
ppp0	00000000	00000000	0001	0	0	300	00000000	0	0	0
eth0	000012AC	00000000	0001	0	0	0	0000FFFF	0	0	0
eth0	00000A0A	090012AC	0003	0	0	0	0000FFFF	0	0	0
eth0	00000000	xyz	0003	0	0	0	00000000	0	0	0
eth0	00000000
`
	table6 = `fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd00
`
)

func TestDefaultGateways(t *testing.T) {
	four, six := &fstest.MapFile{Data: []byte(table4)}, &fstest.MapFile{Data: []byte(table6)}
	for name, c := range map[string]struct {
		tables fstest.MapFS
		want   []netip.Addr
	}{
		"both":      {fstest.MapFS{"route": four, "ipv6_route": six}, addresses("172.18.0.1", "192.168.1.254", "fd00::1")},
		"no IPv6":   {fstest.MapFS{"route": four}, addresses("172.18.0.1", "192.168.1.254")},
		"IPv6":      {fstest.MapFS{"ipv6_route": six}, addresses("fd00::1")},
		"none":      {fstest.MapFS{}, nil},
		"exchanged": {fstest.MapFS{"route": six, "ipv6_route": four}, nil},
	} {
		got, err := module.DefaultGateways(c.tables)
		if d := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" || err != nil {
			t.Errorf("%s: %v, %s", name, err, d)
		}
	}
}

func addresses(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

// A table that cannot be read is an error: the caller refuses the address.
func TestDefaultGateways_unreadable(t *testing.T) {
	for _, name := range []string{"route", "ipv6_route"} {
		if got, err := module.DefaultGateways(fstest.MapFS{name: {Mode: fs.ModeDir}}); err == nil {
			t.Errorf("the gateways of a folder are %v", got)
		}
	}
}

package policy_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/policy"
)

func addrs(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}
	return list
}

var device = policy.Device{
	Own:      addrs("192.0.2.9", "::ffff:192.0.2.10", "2001:db8::9", "fe80::9%eth0"),
	Gateways: addrs("172.18.0.1", "2001:db8::1:1", "fe80::1"),
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name      string
		addresses []netip.Addr
		here, lab bool // allowed
	}{
		{"public and private", addrs("192.0.2.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "168.63.129.17", "255.255.255.254"), true, true},
		{"loopback", addrs("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1", "::ffff:0:127.0.0.1", "2002:7f00:1::5"), false, true},
		{"the device's own", addrs("192.0.2.9", "192.0.2.10", "::ffff:192.0.2.9", "64:ff9b::192.0.2.9", "2002:c000:209::", "2001:db8::9", "2001:db8::9%eth1"), false, true},
		{"the default gateways", addrs("172.18.0.1", "::ffff:172.18.0.1", "64:ff9b::172.18.0.1", "2002:ac12:1::", "2001:db8::1:1"), false, true},
		{"unspecified", addrs("0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::", "2002::", "::0.1.2.3"), false, false},
		{"link-local", addrs("169.254.1.1", "169.254.169.254", "fe80::1", "fe80::9", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "::169.254.169.254", "2002:a9fe:a9fe::"), false, false},
		{"multicast and broadcast", addrs("224.0.0.1", "239.255.255.250", "255.255.255.255", "ff02::1", "ff0e::1", "::ffff:224.0.0.1", "::ffff:255.255.255.255", "64:ff9b::ffff:ffff"), false, false},
		{"the platform", addrs("168.63.129.16", "::ffff:168.63.129.16", "64:ff9b::168.63.129.16", "2002:a83f:8110::", "::168.63.129.16"), false, false},
		{"none", []netip.Addr{{}}, false, false},
	} {
		for _, addr := range c.addresses {
			if err := (policy.Addresses{}).Check(addr, device); (err == nil) != c.here || err != nil && reason.Of(err) != reason.PolicyRemote {
				t.Errorf("%s: %s: %v", c.name, addr, err)
			}
			if err := (policy.Addresses{Loopback: true}).Check(addr, device); (err == nil) != c.lab {
				t.Errorf("%s: %s in a lab: %v", c.name, addr, err)
			}
		}
	}
}

// The result is the same for an IPv4 address in every form.
func TestCheck_formsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	first := []byte{0, 10, 127, 168, 169, 192, 224, 255}
	refused := 0
	for range 100_000 {
		a := [4]byte{first[random.IntN(len(first))], byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
		if random.IntN(2) == 0 {
			a[1] = 254
		}
		v4 := netip.AddrFrom4(a)
		owned := policy.Device{Own: []netip.Addr{v4}}
		switch random.IntN(4) {
		case 0:
			owned = policy.Device{Gateways: []netip.Addr{v4}}
		case 1, 2:
			owned = device
		}
		want := (policy.Addresses{}).Check(v4, owned) == nil
		if !want {
			refused++
		}
		for _, prefix := range []string{"::ffff:0:0", "64:ff9b::", "2002::"} {
			b := netip.MustParseAddr(prefix).As16()
			at := 12
			if prefix == "2002::" {
				at = 2
			}
			copy(b[at:], a[:])
			if got := (policy.Addresses{}).Check(netip.AddrFrom16(b), owned) == nil; got != want {
				t.Fatalf("%s is allowed: %t; %s: %t", v4, want, netip.AddrFrom16(b), got)
			}
		}
	}
	if refused < 1000 {
		t.Errorf("only %d were refused", refused)
	}
}

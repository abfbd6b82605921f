package policy

import (
	"net/netip"
	"slices"
)

// Addresses is the policy for the address that a connection to a remote endpoint uses.
type Addresses struct {
	Loopback bool // lab switch: allows loopback and the addresses of a Device
}

// Device has the addresses that lead to the device itself.
type Device struct {
	Own []netip.Addr // of all interfaces

	// Gateways are those of the default routes. In a container on a bridge network, the
	// gateway is the device. On the host network it is the site's router, which is no remote
	// endpoint.
	Gateways []netip.Addr
}

// Check judges an address. device is the one that dials it.
// Private addresses (RFC 1918, RFC 4193) are allowed, since private endpoints use them.
// An IPv6 address that embeds an IPv4 address is also judged as the IPv4 address. An
// error has reason.PolicyRemote.
func (a Addresses) Check(addr netip.Addr, device Device) error {
	for _, form := range forms(addr) {
		if is := a.forbidden(form, device); is != "" {
			return refuse("the remote endpoint's address %s %s", addr, is)
		}
	}
	return nil
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122, 3.2.1.3; Linux connects 0.0.0.0 to itself
	broadcast   = netip.MustParseAddr("255.255.255.255")
	platform    = netip.MustParseAddr("168.63.129.16") // Azure's, for virtual machines: serves extensions and their secrets
)

// forbidden returns why addr is not allowed, or "".
func (a Addresses) forbidden(addr netip.Addr, device Device) string {
	isAddr := func(other netip.Addr) bool { return unmapped(other) == addr }
	switch {
	case !addr.IsValid():
		return "is none"
	case addr.IsUnspecified(), thisNetwork.Contains(addr):
		return "is unspecified"
	case addr.IsMulticast(), addr == broadcast:
		return "is multicast or broadcast"
	case addr.IsLinkLocalUnicast(): // includes 169.254.169.254, the metadata of cloud providers
		return "is link-local"
	case addr == platform:
		return "is the platform's own"
	case a.Loopback:
		return ""
	case addr.IsLoopback():
		return "is loopback"
	case slices.ContainsFunc(device.Own, isAddr):
		return "is this device's own"
	case slices.ContainsFunc(device.Gateways, isAddr):
		return "is this device's default gateway"
	}
	return ""
}

var (
	// These prefixes embed an IPv4 address in the last 32 bits.
	embedding = []netip.Prefix{
		netip.MustParsePrefix("64:ff9b::/96"),    // NAT64 (RFC 6052)
		netip.MustParsePrefix("64:ff9b:1::/48"),  // a site's own NAT64 (RFC 8215), as /96
		netip.MustParsePrefix("::/96"),           // compatible (RFC 4291, 2.5.5.1)
		netip.MustParsePrefix("::ffff:0:0:0/96"), // translated (RFC 2765)
	}
	sixToFour = netip.MustParsePrefix("2002::/16") // RFC 3056: embeds it in the next 32 bits
)

// forms returns addr, and the IPv4 address that it embeds, if any.
func forms(addr netip.Addr) []netip.Addr {
	addr = unmapped(addr)
	if !addr.Is6() || addr.IsLoopback() || addr.IsUnspecified() {
		return []netip.Addr{addr}
	}
	b := addr.As16()
	switch {
	case sixToFour.Contains(addr):
		return []netip.Addr{addr, netip.AddrFrom4([4]byte(b[2:6]))}
	case slices.ContainsFunc(embedding, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return []netip.Addr{addr, netip.AddrFrom4([4]byte(b[12:]))}
	}
	return []netip.Addr{addr}
}

// unmapped returns addr without its zone, as an IPv4 address if it is IPv4-mapped.
func unmapped(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }

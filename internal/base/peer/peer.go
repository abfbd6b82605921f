// Package peer says which addresses count as one client, for bounds on what one client holds.
//
// Code belongs here if it compares the addresses of clients.
package peer

import "net/netip"

// hostBits is the prefix of the IPv6 network in which a host chooses its addresses freely
// (RFC 4291, 2.5.1).
const hostBits = 64

// Network returns what counts as one client: an address of IPv4, or a /64 network of IPv6.
// All zero Addrs are one client.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = hostBits
	}
	network, err := a.Prefix(bits)
	if err != nil { // no address
		return netip.Prefix{}
	}
	return network
}

package listen

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of trusted reverse proxies. None trusts no address.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks such as 10.0.0.0/8. A network of all addresses is
// an error: X-Forwarded-For would be what any client writes.
func ParseProxies(texts []string) (Proxies, error) {
	var proxies Proxies
	for _, text := range texts {
		prefix, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q: %w", text, err)
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap().WithZone("")
		return address.Prefix(address.BitLen())
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("not an address or a network such as 10.0.0.0/8")
	case prefix.Bits() == 0:
		return netip.Prefix{}, errors.New("a network of all addresses cannot be trusted")
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, errors.New("write the network as one of IPv4")
	}
	return prefix.Masked(), nil
}

// Trust reports whether an address is a trusted proxy's.
func (p Proxies) Trust(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Client returns the address of a request's client: the peer of the connection, or, if that is
// a trusted proxy, the last address in X-Forwarded-For that is not. Text that is no address
// ends the search, since what stands before it cannot be a trusted proxy's word. The result is
// never a zone's, and never IPv4 in IPv6.
func (p Proxies) Client(r *http.Request) netip.Addr {
	var client netip.Addr
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		client = peer.Addr().Unmap().WithZone("")
	}
	hops := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for p.Trust(client) && hops != "" {
		i := strings.LastIndexByte(hops, ',')
		next, ok := parseHop(hops[i+1:])
		if !ok {
			break
		}
		client, hops = next, hops[:max(i, 0)]
	}
	return client
}

// parseHop reads an element of X-Forwarded-For: an address, which some proxies write with a
// port or in brackets.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

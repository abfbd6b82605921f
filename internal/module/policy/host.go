package policy

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

const (
	maxName  = 253 // characters (RFC 1035, 2.3.4, as text)
	maxLabel = 63

	maxWritten = 4 * maxName // bytes of a name before IDNA, whose time grows with their square
)

var (
	errName    = errors.New("is neither a host name nor an IP address")
	errNumbers = errors.New("ends in a number and is no IPv4 address of four decimal numbers")
	errZone    = errors.New("has a zone, which names an interface of this device")
)

// names maps names that are not ASCII as a lookup does (UTS 46, not transitional), and
// rejects what registries reject.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule())

// canonical returns the form in which hosts are compared: a name in lower case after
// IDNA, without the trailing dot, or an IP address as netip writes it. The address is
// valid in the second case only. host is a host of net/url, without brackets.
//
// A name whose last label is a number is rejected (WHATWG URL, "ends in a number"). Some
// resolvers, such as a proxy's, read 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 as
// 127.0.0.1; Go's does not.
func canonical(host string) (string, netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return "", netip.Addr{}, errZone
		}
		addr = addr.Unmap()
		return addr.String(), addr, nil
	}
	name, err := ascii(host)
	if err != nil {
		return "", netip.Addr{}, err
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxName {
		return "", netip.Addr{}, errName
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if !isLabel(label) {
			return "", netip.Addr{}, errName
		}
	}
	if isNumber(labels[len(labels)-1]) {
		return "", netip.Addr{}, errNumbers
	}
	return name, netip.Addr{}, nil
}

// ascii returns a name in ASCII and lower case. It applies IDNA only to names outside
// ASCII: IDNA forbids underscores and double hyphens, which real host names have.
func ascii(host string) (string, error) {
	for _, c := range []byte(host) {
		if c >= 0x80 {
			if len(host) > maxWritten {
				return "", errName
			}
			name, err := names.ToASCII(host)
			if err != nil {
				return "", errName // err repeats the host, as the caller wrote it
			}
			return name, nil
		}
	}
	return strings.ToLower(host), nil
}

func isLabel(label string) bool {
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return label != "" && len(label) <= maxLabel
}

// isNumber tells whether inet_aton reads label as a number.
func isNumber(label string) bool {
	digits, allowed := label, "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		digits, allowed = hex, allowed+"abcdef"
	}
	return strings.Trim(digits, allowed) == ""
}

// isLocalhost tells whether a canonical name is loopback by definition (RFC 6761, 6.3).
func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

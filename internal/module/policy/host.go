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

// names maps a name that is not ASCII as a lookup does (UTS 46, not transitional), and
// refuses what registries refuse.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule())

// canonical is the one form in which hosts are compared: lower case after IDNA,
// without the trailing dot, or an IP address as netip writes it, which is valid then.
// It takes what net/url has for a host, without brackets.
//
// A name whose last label is a number is no name (WHATWG URL, "ends in a number"):
// some resolvers, a proxy's perhaps, take 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 for
// 127.0.0.1, and Go's does not.
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

// ascii leaves names in ASCII as they are but for their case: an underscore and two
// hyphens in a row are wrong by IDNA, and hosts have them.
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

// isNumber tells whether inet_aton would read label as a number.
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

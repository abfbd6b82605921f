package policy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Remotes are the hosts and ports that endpoints may name. The zero value allows none.
// A value is immutable, and so safe for concurrent use.
type Remotes struct {
	any      bool
	patterns []pattern
}

// pattern is a host, or all its subdomains, with a port.
type pattern struct {
	subdomains bool // *.host
	host       string
	port       int
}

// Any allows every port of every host that has a canonical form.
func Any() Remotes { return Remotes{any: true} }

// ParseRemotes parses patterns by label. A pattern is a host name, *. and a host name for
// all its subdomains, an IPv4 address, or an IPv6 address in brackets. A port other than
// 443 follows as :port. No patterns allow no host. If a pattern is invalid, the result
// allows no host, and the errors say why by label: each completes a sentence that begins
// with the label.
func ParseRemotes(patterns map[string]string) (Remotes, map[string]error) {
	var r Remotes
	faults := map[string]error{}
	for label, text := range patterns {
		p, err := parsePattern(text)
		if err != nil {
			faults[label] = err
			continue
		}
		r.patterns = append(r.patterns, p)
	}
	if len(faults) > 0 {
		return Remotes{}, faults
	}
	return r, nil
}

var (
	errPort     = errors.New("has a port that is no number from 1 to 65535")
	errBrackets = errors.New("has a colon too many: an IPv6 address stands in brackets, and there is no scheme or path")
	errWildcard = errors.New("has a * that is not the whole of the first label, with a host name after it")
)

func parsePattern(text string) (p pattern, err error) {
	host, port, err := splitPattern(text)
	if err != nil {
		return pattern{}, err
	}
	p.port = 443
	if port != "" {
		if p.port, err = parsePort(port[1:]); err != nil {
			return pattern{}, err
		}
	}
	inBrackets := strings.HasPrefix(text, "[")
	host, p.subdomains = strings.CutPrefix(host, "*.")
	var addr netip.Addr
	p.host, addr, err = canonical(host)
	switch {
	case err != nil && strings.Contains(text, "*"), addr.IsValid() && p.subdomains:
		return pattern{}, errWildcard
	case err != nil:
		return pattern{}, err
	case inBrackets && !strings.Contains(host, ":"):
		return pattern{}, errName
	}
	return p, nil
}

// splitPattern splits a pattern into the host without brackets and :port or "".
func splitPattern(text string) (host, port string, err error) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		host, port, ok = strings.Cut(inside, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", errName
		}
		return host, port, nil
	}
	switch strings.Count(text, ":") {
	case 0:
		return text, "", nil
	case 1:
		i := strings.Index(text, ":")
		return text[:i], text[i:], nil
	default:
		return "", "", errBrackets
	}
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errPort
	}
	return int(n), nil
}

// Allows tells whether a pattern matches the host and port. The host may be in any
// notation of a URL, without brackets. A host without a canonical form is not allowed.
func (r Remotes) Allows(host string, port int) bool {
	name, _, err := canonical(host)
	if err != nil || port < 1 || port > 65535 {
		return false
	}
	if r.any {
		return true
	}
	for _, p := range r.patterns {
		if p.port == port && p.matches(name) {
			return true
		}
	}
	return false
}

func (p pattern) matches(name string) bool {
	if p.subdomains {
		return strings.HasSuffix(name, "."+p.host) // never an address, whose last label is a number
	}
	return name == p.host
}

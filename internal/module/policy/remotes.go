package policy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Remotes are the hosts and ports that endpoints may name. The zero value allows
// none. It is never changed, so it may be used by several goroutines.
type Remotes struct {
	any      bool
	patterns []pattern
}

// pattern is a host, or all names below one, with a port.
type pattern struct {
	below bool // *.host
	host  string
	port  int
}

// Any allows every host and port that can be judged at all.
func Any() Remotes { return Remotes{any: true} }

// ParseRemotes takes patterns by label: a host name, *. and a host name for one or more
// labels before it, an IPv4 address or an IPv6 address in brackets, each with :port if
// it is not 443. No pattern allows none. What is wrong with one is told by its label,
// as the rest of a sentence that begins with the label; then none is allowed.
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
	host, p.below = strings.CutPrefix(host, "*.")
	var addr netip.Addr
	p.host, addr, err = canonical(host)
	switch {
	case err != nil && strings.Contains(text, "*"), addr.IsValid() && p.below:
		return pattern{}, errWildcard
	case err != nil:
		return pattern{}, err
	case inBrackets && !strings.Contains(host, ":"):
		return pattern{}, errName
	}
	return p, nil
}

// splitPattern parts the host, without brackets, from :port, which may be missing.
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

// Allows tells whether a host, in any notation that a URL has for it but without
// brackets, and a port are among the patterns. A host that cannot be judged is not.
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
	if p.below {
		return strings.HasSuffix(name, "."+p.host) // never an address, whose last label is a number
	}
	return name == p.host
}

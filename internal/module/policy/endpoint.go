package policy

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is a remote endpoint in canonical form.
type Endpoint struct {
	URL    *url.URL   // to dial: host in ASCII and lower case; path and query as in the request
	Host   string     // canonical: a name without its trailing dot, or an IP address without brackets
	Addr   netip.Addr // valid if Host is an IP address
	Port   int        // 1 to 65535
	Secure bool       // wss, not ws
}

// NewEndpoint returns the canonical form of a ws or wss URL, and does not change u. The
// URL of the result holds the canonical host and port, so that the host that is judged
// is the host that is dialed. An error has reason.PolicyRemote.
func NewEndpoint(u *url.URL) (e Endpoint, err error) {
	e = Endpoint{Secure: u.Scheme == "wss", Port: 443}
	if !e.Secure {
		e.Port = 80
	}
	host, port := u.Hostname(), u.Port()
	switch bracketed := strings.HasPrefix(u.Host, "["); {
	case u.Scheme != "wss" && u.Scheme != "ws":
		return Endpoint{}, refuse("the scheme is not wss")
	case u.User != nil:
		return Endpoint{}, refuse("userinfo is not allowed")
	case strings.Contains(host, ":") != bracketed:
		return Endpoint{}, refuse("the host %w", errName)
	}
	if e.Host, e.Addr, err = canonical(host); err != nil {
		return Endpoint{}, refuse("the host %w", err)
	}
	if port != "" {
		if e.Port, err = parsePort(port); err != nil {
			return Endpoint{}, refuse("the endpoint %w", err)
		}
	}
	dialed := *u
	dialed.Host = e.authority(host, port != "")
	e.URL = &dialed
	return e, nil
}

// authority returns host and port for a URL. It keeps a trailing dot, which stops a
// resolver from using its search list.
func (e Endpoint) authority(written string, withPort bool) string {
	host := e.Host
	if name, err := ascii(written); err == nil && strings.HasSuffix(name, ".") {
		host += "."
	}
	switch {
	case withPort:
		return net.JoinHostPort(host, strconv.Itoa(e.Port))
	case e.Addr.Is6():
		return "[" + host + "]"
	}
	return host
}

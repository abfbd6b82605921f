// Package browser judges what the request of a browser carries: a token or the login cookie,
// and the origin of the page that sent it.
//
// The rules are:
//   - A page of another origin acts with a token of its own, never with the user's cookie. So
//     Access-Control-Allow-Credentials is never sent, and the cookie is SameSite=Strict.
//   - A request with the cookie comes from the gateway's own page: its Origin is the request's
//     own. A request that changes something needs an Origin, and a POST is JSON, which no form
//     of HTML can send.
//   - A WebSocket of a page needs the own origin, or a listed one and a token. Browsers ask for
//     no permission before they open a WebSocket to another origin.
//   - A client without an Origin is no page. It passes with a token.
//   - On a plain loopback listener, the cookie counts only if Host is a loopback name or the
//     public URL's host. A name of a stranger that resolves to this machine has no rights
//     (DNS rebinding).
//
// Code belongs here if it reads or writes headers for the sake of browsers' rules. The package
// judges no token and no cookie; see package access.
package browser

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// Options say what the gateway accepts.
type Options struct {
	// PublicURL is the URL at which browsers reach the gateway, with a path or without one; ""
	// if there is none: the page's origin is then the scheme and the Host of the request.
	PublicURL string
	// Proxied reports whether a trusted proxy sent a request, so that the browser's connection
	// has TLS; nil: none did.
	Proxied func(*http.Request) bool
	// Origins are pages of other origins that may use tokens, such as https://portal.example.
	Origins []string
}

// Policy is what the gateway accepts. Its methods are safe for concurrent use.
type Policy struct {
	public  string // origin of the public URL; may be empty
	host    string // of the public URL, without its port
	path    string // of the public URL, with a slash at its end
	proxied func(*http.Request) bool
	origins atomic.Pointer[[]string]
}

// New returns a policy. The error names the option that is invalid.
func New(o Options) (*Policy, error) {
	p := &Policy{path: "/", proxied: o.Proxied}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("public URL: %w", err)
		}
		p.public, p.host = origin(u.Scheme, u.Host), strings.ToLower(u.Hostname())
		p.path = strings.TrimSuffix(u.EscapedPath(), "/") + "/"
	}
	return p, p.SetOrigins(o.Origins)
}

// SetOrigins replaces the list of origins. It changes nothing if it returns an error.
func (p *Policy) SetOrigins(texts []string) error {
	var list []string
	for _, text := range texts {
		listed, ok := parseOrigin(text)
		if !ok {
			return fmt.Errorf("origin %q is not a scheme, a host and a port at most, such as https://portal.example", text)
		}
		list = append(list, listed)
	}
	p.origins.Store(&list)
	return nil
}

// plain reports whether a request came over a plain loopback listener from this machine: the
// browser's connection has no TLS, and needs none.
func (p *Policy) plain(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return r.TLS == nil && ok && local.IP.IsLoopback() && (p.proxied == nil || !p.proxied(r))
}

// local reports whether a request came over a plain loopback listener, and names it as that.
func (p *Policy) local(r *http.Request) bool { return p.plain(r) && isLoopback(hostname(r.Host)) }

// Base returns the URL at which the client of a request reaches the gateway, without a slash
// at its end: the public URL, or the scheme and the Host of the request.
func (p *Policy) Base(r *http.Request) string {
	own := p.public
	if own == "" || p.local(r) {
		own = p.requestOrigin(r)
	}
	return own + strings.TrimSuffix(p.path, "/")
}

// requestOrigin returns the origin that a request names by Host. Behind a trusted proxy, the
// browser's connection has TLS.
func (p *Policy) requestOrigin(r *http.Request) string {
	if p.plain(r) {
		return origin("http", r.Host)
	}
	return origin("https", r.Host)
}

// own reports whether an origin is the one of the gateway's page, as the request reaches it.
func (p *Policy) own(o string, r *http.Request) bool {
	switch {
	case p.public != "" && o == p.public:
		return true
	case p.plain(r):
		return p.local(r) && o == p.requestOrigin(r)
	default:
		return p.public == "" && o == p.requestOrigin(r)
	}
}

func (p *Policy) listed(o string) bool { return slices.Contains(*p.origins.Load(), o) }

// origin returns the form in which origins are compared (RFC 6454, 6.1): in lower case,
// without the default port of the scheme.
func origin(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + host
}

// parseOrigin reads an origin. The origin "null" of sandboxed pages and files is none.
func parseOrigin(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return "", false
	}
	return origin(u.Scheme, u.Host), true
}

// hostname returns the host of a Host header without its port, in lower case and without the
// brackets of IPv6.
func hostname(host string) string {
	u := url.URL{Host: host}
	return strings.ToLower(u.Hostname())
}

// isLoopback reports whether a host is this machine whatever a resolver says: a loopback
// address, or a name that browsers resolve to one (RFC 6761, 6.3).
func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

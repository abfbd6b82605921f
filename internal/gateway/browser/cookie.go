package browser

import (
	"net/http"
	"strings"
	"time"
)

// cookieName is the login cookie's name on a plain loopback listener. Elsewhere it has a
// prefix, with which browsers accept it only over TLS and only from this host (RFC 6265bis,
// 4.1.3), so that neither a neighbour's page nor a plain connection can set it.
const (
	cookieName   = "rtsptunnel"
	hostPrefix   = "__Host-"   // with the path / alone
	securePrefix = "__Secure-" // with the path of a public URL
)

// cookies returns the values of the login cookies that count for a request.
func (p *Policy) cookies(r *http.Request) []string {
	var values []string
	for _, c := range r.CookiesNamed(p.secureName()) {
		values = append(values, c.Value)
	}
	if len(values) == 0 && (p.local(r) || p.plain(r) && hostname(r.Host) != p.host) { // Check refuses the second one
		for _, c := range r.CookiesNamed(cookieName) {
			values = append(values, c.Value)
		}
	}
	return values
}

func (p *Policy) secureName() string {
	if p.path == "/" {
		return hostPrefix + cookieName
	}
	return securePrefix + cookieName
}

// SetCookie logs the client of r in: it sets the cookie, with a value of access.Cookie, until
// it expires.
func (p *Policy) SetCookie(w http.ResponseWriter, r *http.Request, value string, expires time.Time) {
	c := p.cookie(r) //nolint:gosec // see cookie
	c.Value, c.Expires = value, expires.UTC()
	c.MaxAge = max(1, int(time.Until(expires)/time.Second))
	http.SetCookie(w, c)
}

// EndCookie removes the cookie from the client of r.
func (p *Policy) EndCookie(w http.ResponseWriter, r *http.Request) {
	c := p.cookie(r) //nolint:gosec // see cookie
	c.MaxAge = -1
	http.SetCookie(w, c)
}

// cookie returns the cookie without a value. Secure is left off on a plain loopback listener
// alone, unless the page itself came over TLS: then a reverse proxy on this machine serves it.
func (p *Policy) cookie(r *http.Request) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure is left off as the comment says
		Name: p.secureName(), Path: p.path, HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
	if p.local(r) && !strings.HasPrefix(r.Header.Get("Origin"), "https://") {
		c.Name, c.Secure = cookieName, false
	}
	return c
}

package control

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// refuseBrowsers passes what a program sends on purpose. A browser says in
// Origin which page a request comes from, on all but plain GETs; and a page
// that had its own name resolve to loopback, to be let read those, is given
// away by the name in Host.
func (a *api) refuseBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Origin") != "":
			a.refuse(w, r, http.StatusForbidden, "Forbidden", "requests of web pages (with an Origin header) are refused")
		case !a.isOurName(r.Host):
			a.refuse(w, r, http.StatusForbidden, "Forbidden", "the Host header is no name of this hub")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (a *api) isOurName(hostPort string) bool {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost") || host != "" &&
		slices.ContainsFunc(a.HostNames, func(name string) bool { return strings.EqualFold(name, host) })
}

package control

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// refuseBrowsers refuses requests of web pages. A browser sends the page's Origin
// with all requests except simple GETs. A page can read the response of a GET only
// if its own host name resolves to loopback, and then Host has that name.
func (a *api) refuseBrowsers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Origin") != "":
			a.refuse(w, r, http.StatusForbidden, "Forbidden", "requests of web pages (with an Origin header) are refused")
		case !a.isOwnName(r.Host):
			a.refuse(w, r, http.StatusForbidden, "Forbidden", "the Host header is no name of this hub")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (a *api) isOwnName(hostPort string) bool {
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

package config

import (
	"net"
	"net/url"
	"strings"
)

// proxyLogin is the login in RTSPTUNNEL_PROXY_USERNAME and _PASSWORD.
type proxyLogin struct {
	user *url.Userinfo // nil for none
	// host and port are RTSPTUNNEL_PROXY_HOST, the only proxy that is sent the login. An empty
	// port means any. An empty host means the proxies of the environment's URLs.
	host, port string
}

// readLogin returns the login of the variables, the zero value if they contain none that is
// usable. With an unusable host it is none, since its proxy is not known.
func (m *Module) readLogin(own own) proxyLogin {
	username, password := string(own.ProxyUsername), string(own.ProxyPassword)
	host, port, ok := splitProxyHost(own.ProxyHost)
	switch {
	case username == "" && password == "" && own.ProxyHost == "":
		return proxyLogin{}
	case !ok:
		m.fault("RTSPTUNNEL_PROXY_HOST", "is not host or host:port; no login is sent")
		return proxyLogin{}
	case username == "" && password == "":
		m.fault("RTSPTUNNEL_PROXY_HOST", "is not used without RTSPTUNNEL_PROXY_USERNAME")
		return proxyLogin{}
	case username == "":
		m.fault("RTSPTUNNEL_PROXY_PASSWORD", "is not used without RTSPTUNNEL_PROXY_USERNAME")
		return proxyLogin{}
	case strings.Contains(username, ":"):
		m.fault("RTSPTUNNEL_PROXY_USERNAME", "has a colon, which a Basic authentication user name cannot contain; no login is sent")
		return proxyLogin{}
	}
	return proxyLogin{user: url.UserPassword(username, password), host: host, port: port}
}

// splitProxyHost splits a host, or host:port, both of which may be empty together.
func splitProxyHost(value string) (host, port string, ok bool) {
	if value == "" {
		return "", "", true
	}
	host = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]") // an IPv6 address alone
	if h, p, err := net.SplitHostPort(value); err == nil {
		if host, port = h, p; !isPort(port) || port == "0" {
			return "", "", false
		}
	}
	return host, port, host != "" && isHost(host)
}

// names tells whether RTSPTUNNEL_PROXY_HOST names this proxy.
func (l proxyLogin) names(proxy *url.URL) bool {
	_, port, _ := net.SplitHostPort(hostPort(proxy))
	same := strings.EqualFold(strings.TrimSuffix(proxy.Hostname(), "."), strings.TrimSuffix(l.host, "."))
	return l.host != "" && same && (l.port == "" || l.port == port)
}

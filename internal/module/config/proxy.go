package config

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// RemoteProxy is which proxy is on the way to remote endpoints.
type RemoteProxy struct {
	// For is the proxy on the way to an https URL, and to an http URL for a lab's ws,
	// nil for none; an error if what is set is no proxy, and then there is no way.
	For func(*url.URL) (*url.URL, error)

	Origin string // who names it: none, environment or twin
	Host   string // its host:port; empty for none, and for one that cannot be used
	Auth   bool   // it is sent a login
}

// Origins of a RemoteProxy.
const (
	ProxyNone        = "none"
	ProxyEnvironment = "environment"
	ProxyTwin        = "twin"
)

var errProxyLogin = errors.New("holds a login, which stands in RTSPTUNNEL_PROXY_USERNAME and RTSPTUNNEL_PROXY_PASSWORD")

// remoteProxy is the environment's proxy with the twin's proxy.url and proxy.noProxy,
// each of which stands in the other's place if it is not empty. The twin's URL holds no
// login, since a twin can be read by many: it is sent the login of the environment's
// variables, or of the environment's URL if that is the same proxy. An error says, as the
// rest of a sentence about proxy.url, why it cannot be used.
func (p siteProxies) remoteProxy(address, noProxy string) (RemoteProxy, error) {
	noProxy = cmp.Or(noProxy, p.noProxy)
	if address == "" {
		return RemoteProxy{For: exempting(noProxy, p.https, p.http)}.described(ProxyEnvironment, p.https), nil
	}
	u, err := parseProxy(address)
	switch {
	case err != nil:
		return RemoteProxy{}, err
	case u.User != nil:
		return RemoteProxy{}, errProxyLogin
	case p.login != nil:
		u.User = p.login
	case p.https.url != nil && sameProxy(p.https.url, u):
		u.User = p.https.url.User
	}
	w := way{url: u}
	return RemoteProxy{For: exempting(noProxy, w, w)}.described(ProxyTwin, w), nil
}

func (r RemoteProxy) described(origin string, w way) RemoteProxy {
	r.Origin = ProxyNone
	if w.url != nil {
		r.Host, r.Auth = hostPort(w.url), w.url.User != nil
	}
	if w != (way{}) {
		r.Origin = origin
	}
	return r
}

func sameProxy(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(hostPort(a), hostPort(b))
}

// hostPort is a proxy's host with its port, also where its URL leaves that out.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return strings.TrimSuffix(u.Host, ":") + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
}

// way is a proxy, or why there is none although one is set, or neither.
type way struct {
	url *url.URL
	err error
}

// siteProxies are the environment's.
type siteProxies struct {
	https, http way // by the scheme of what they are on the way to
	noProxy     string
	login       *url.Userinfo // of the variables of their own; nil if they are unset
}

// readProxy takes the rules that most programs share: HTTPS_PROXY or https_proxy for
// https URLs, HTTP_PROXY or http_proxy for http URLs, and NO_PROXY or no_proxy; localhost
// and 127.0.0.0/8 never go through a proxy. A proxy that cannot be used is no permission
// to go around it.
func (m *Module) readProxy(own own) {
	rules := httpproxy.FromEnvironment()
	p := siteProxies{noProxy: rules.NoProxy, login: m.proxyLogin(string(own.ProxyUsername), string(own.ProxyPassword))}
	p.https = m.wayOf("https_proxy", rules.HTTPSProxy, p.login)
	p.http = m.wayOf("http_proxy", rules.HTTPProxy, p.login)
	if p.https != (way{}) {
		m.Proxy = exempting(p.noProxy, p.https, way{})
	}
	m.RemoteProxy = p.remoteProxy
}

// proxyLogin is the login of the variables of their own.
func (m *Module) proxyLogin(username, password string) *url.Userinfo {
	switch {
	case username == "" && password == "":
		return nil
	case username == "":
		m.fault("RTSPTUNNEL_PROXY_PASSWORD", "is not used without RTSPTUNNEL_PROXY_USERNAME")
		return nil
	case strings.Contains(username, ":"):
		m.fault("RTSPTUNNEL_PROXY_USERNAME", "has a colon, which no user name for Basic login can have; no login is sent")
		return nil
	}
	return url.UserPassword(username, password)
}

func (m *Module) wayOf(variable, value string, login *url.Userinfo) way {
	if value == "" {
		return way{}
	}
	u, err := parseProxy(value)
	if err != nil {
		m.fault(variable, err.Error()+"; nothing that it is for can be reached")
		return way{err: errors.New(variable + " cannot be used")}
	}
	if u.User == nil {
		u.User = login
	}
	return way{url: u}
}

var errProxy = errors.New("is not an http or https URL, host:port at least")

// parseProxy reads a proxy's URL as other programs do, so that host:port alone is an
// http URL. The error does not repeat it.
func parseProxy(text string) (*url.URL, error) {
	// httpproxy takes what it cannot parse for no proxy.
	u, err := (&httpproxy.Config{HTTPSProxy: text}).ProxyFunc()(&url.URL{Scheme: "https", Host: "any.invalid"})
	if err != nil || u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errProxy
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errProxy
		}
	}
	return u, nil
}

// exempting is the proxy for a URL: by its scheme, and none for what noProxy names.
func exempting(noProxy string, https, http way) func(*url.URL) (*url.URL, error) {
	const some = "http://some.invalid"
	rules := (&httpproxy.Config{HTTPSProxy: some, HTTPProxy: some, NoProxy: noProxy}).ProxyFunc()
	return func(u *url.URL) (*url.URL, error) {
		if proxy, err := rules(withoutDot(u)); proxy == nil {
			return nil, err
		}
		if u.Scheme == "http" {
			return http.url, http.err
		}
		return https.url, https.err
	}
}

// withoutDot is u without the dot that may end a full name: noProxy has names without.
func withoutDot(u *url.URL) *url.URL {
	named := *u
	named.Host = net.JoinHostPort(strings.TrimSuffix(u.Hostname(), "."), u.Port())
	return &named
}

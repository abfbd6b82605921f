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

// RemoteProxy is the proxy for remote endpoints.
type RemoteProxy struct {
	// For returns the proxy for an https URL, or for an http URL (a lab's ws endpoint);
	// nil means to dial directly. An error means that the proxy setting is unusable;
	// there is no direct fallback.
	For func(*url.URL) (*url.URL, error)

	Origin string // where the setting comes from: none, environment or twin
	Host   string // the proxy's host:port; empty without a usable proxy
	Auth   bool   // the proxy is sent a login
	// OtherLogin is set if the environment has a login that this proxy is not sent, because it
	// belongs to another host.
	OtherLogin bool
}

// Origins of a RemoteProxy.
const (
	ProxyNone        = "none"
	ProxyEnvironment = "environment"
	ProxyTwin        = "twin"
)

var errProxyLogin = errors.New("must not contain a login; set RTSPTUNNEL_PROXY_USERNAME and RTSPTUNNEL_PROXY_PASSWORD instead")

// remoteProxy implements Module.RemoteProxy: the twin's proxy.url and proxy.noProxy each
// override the environment's setting unless they are empty. Many can read a twin, so its
// URL must not contain a login. Many can write one, too, so the proxy is sent only a login
// that belongs to its host.
func (p siteProxies) remoteProxy(address, noProxy string) (RemoteProxy, error) {
	noProxy = cmp.Or(noProxy, p.noProxy)
	if address == "" {
		return newRemoteProxy(ProxyEnvironment, noProxy, p.https, p.http), nil
	}
	u, err := parseProxy(address)
	switch {
	case err != nil:
		return RemoteProxy{}, err
	case u.User != nil:
		return RemoteProxy{}, errProxyLogin
	}
	u.User = p.loginFor(u)
	r := route{proxy: u}
	remote := newRemoteProxy(ProxyTwin, noProxy, r, r)
	remote.OtherLogin = u.User == nil && p.hasLogin()
	return remote, nil
}

// loginFor returns the login for a proxy that the twin names: the environment URL's login if
// it names the same proxy, else the variables' if RTSPTUNNEL_PROXY_HOST names it, else none.
func (p siteProxies) loginFor(twins *url.URL) *url.Userinfo {
	for _, r := range []route{p.https, p.http} {
		if r.proxy != nil && r.proxy.User != nil && sameProxy(r.proxy, twins) {
			return r.proxy.User
		}
	}
	if p.login.names(twins) {
		return p.login.user
	}
	return nil
}

func (p siteProxies) hasLogin() bool {
	has := func(r route) bool { return r.proxy != nil && r.proxy.User != nil }
	return p.login.user != nil || has(p.https) || has(p.http)
}

// newRemoteProxy describes the proxy of the https route, which all but a lab's endpoints
// use.
func newRemoteProxy(origin, noProxy string, https, http route) RemoteProxy {
	r := RemoteProxy{For: proxyRules(noProxy, https, http), Origin: ProxyNone}
	if https != (route{}) {
		r.Origin = origin
	}
	if https.proxy != nil {
		r.Host, r.Auth = hostPort(https.proxy), https.proxy.User != nil
	}
	return r
}

func sameProxy(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(hostPort(a), hostPort(b))
}

// hostPort returns a proxy's host:port, with the scheme's default port if the URL has
// none.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return strings.TrimSuffix(u.Host, ":") + map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
}

// route says how to reach a URL: through proxy, not at all (err says why the proxy that
// is set is unusable), or, as the zero value, directly.
type route struct {
	proxy *url.URL
	err   error
}

// siteProxies holds the environment's proxy settings.
type siteProxies struct {
	https, http route // by the scheme of the destination
	noProxy     string
	login       proxyLogin
}

// readProxy follows the rules that most programs share: HTTPS_PROXY or https_proxy for
// https URLs, HTTP_PROXY or http_proxy for http URLs, and NO_PROXY or no_proxy. localhost
// and 127.0.0.0/8 are always dialed directly. There is no direct fallback for a proxy
// that is unusable.
func (m *Module) readProxy(own own) {
	rules := httpproxy.FromEnvironment()
	p := siteProxies{noProxy: rules.NoProxy, login: m.readLogin(own)}
	p.https = m.readRoute("https_proxy", rules.HTTPSProxy, p.login)
	p.http = m.readRoute("http_proxy", rules.HTTPProxy, p.login)
	if p.https != (route{}) {
		m.Proxy = proxyRules(p.noProxy, p.https, route{})
	}
	if p.login.user != nil && p.login.host == "" && p.https.proxy == nil && p.http.proxy == nil {
		m.fault("RTSPTUNNEL_PROXY_USERNAME", "belongs to no proxy; no login is sent until RTSPTUNNEL_PROXY_HOST or https_proxy names one")
	}
	m.RemoteProxy = p.remoteProxy
}

func (m *Module) readRoute(variable, value string, login proxyLogin) route {
	if value == "" {
		return route{}
	}
	u, err := parseProxy(value)
	if err != nil {
		m.fault(variable, err.Error()+"; hosts that need this proxy cannot be reached")
		return route{err: errors.New(variable + " cannot be used")}
	}
	if u.User == nil && (login.host == "" || login.names(u)) {
		u.User = login.user
	}
	return route{proxy: u}
}

var errProxy = errors.New("is not an http or https URL with at least host:port")

// parseProxy reads a proxy's URL as other programs do: host:port alone is an http URL.
// The error does not repeat the text.
func parseProxy(text string) (*url.URL, error) {
	// httpproxy treats a URL that it cannot parse as no proxy.
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

// proxyRules returns a function that chooses a URL's proxy by its scheme, and no proxy
// for hosts that noProxy names.
func proxyRules(noProxy string, https, http route) func(*url.URL) (*url.URL, error) {
	const placeholder = "http://some.invalid"
	rules := (&httpproxy.Config{HTTPSProxy: placeholder, HTTPProxy: placeholder, NoProxy: noProxy}).ProxyFunc()
	return func(u *url.URL) (*url.URL, error) {
		if proxy, err := rules(withoutTrailingDot(u)); proxy == nil {
			return nil, err
		}
		if u.Scheme == "http" {
			return http.proxy, http.err
		}
		return https.proxy, https.err
	}
}

// withoutTrailingDot returns u without the dot that may end a fully qualified name,
// because names in noProxy have none.
func withoutTrailingDot(u *url.URL) *url.URL {
	named := *u
	named.Host = net.JoinHostPort(strings.TrimSuffix(u.Hostname(), "."), u.Port())
	return &named
}

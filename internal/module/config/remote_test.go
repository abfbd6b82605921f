package config_test

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"

	"rtsptunnel/internal/module/config"
)

func TestRead_remote(t *testing.T) {
	set(t, injected)
	set(t, env{"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE": "True", "RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE": "1", "RTSPTUNNEL_USER_AGENT_SUFFIX": "Contoso/EdgeBox-3 (rev (b))", "RTSPTUNNEL_DATA_DIR": "/data"})
	m, err := config.Read()
	if err != nil || len(m.Faults) != 0 || !m.AllowLoopbackRemote || !m.AllowPlaintextRemote || m.UserAgentSuffix != "Contoso/EdgeBox-3 (rev (b))" {
		t.Errorf("%v, %+v", err, m)
	}
	if len(m.Ignored) != 1 || !strings.Contains(m.Ignored[0], "RTSPTUNNEL_DATA_DIR") {
		t.Errorf("ignored: %q", m.Ignored)
	}
}

func TestRead_remoteDefaults(t *testing.T) {
	set(t, injected)
	set(t, env{"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE": "FALSE"})
	m, err := config.Read()
	if err != nil || len(m.Faults)+len(m.Ignored) != 0 || m.AllowLoopbackRemote || m.AllowPlaintextRemote || m.UserAgentSuffix != "" {
		t.Errorf("%v, %+v", err, m)
	}
}

// An unusable value leaves the safe default, and the fault does not repeat it.
func TestRead_unusableRemote(t *testing.T) {
	for variable, values := range map[string][]string{
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE":  {"canary", "yes canary", "2", " "},
		"RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE": {"canary"},
		"RTSPTUNNEL_USER_AGENT_SUFFIX":      {"canary\r\nX: y", "canary\t", "can)(ary", "(canary", "canary)", "cänary", " canary", "canary ", strings.Repeat("canary", 22)},
		"RTSPTUNNEL_PROXY_USERNAME":         {"can:ary"},
		"RTSPTUNNEL_PROXY_PASSWORD":         {"canary"},
		"RTSPTUNNEL_PROXY_HOST":             {"canary"},
	} {
		for _, value := range values {
			t.Run(variable, func(t *testing.T) {
				set(t, injected)
				set(t, env{variable: value})
				m, err := config.Read()
				if err != nil || len(m.Faults) != 1 || m.Faults[0].Variable != variable || strings.Contains(m.Faults[0].String(), "ary") {
					t.Errorf("%q: %v, faults %v", value, err, m.Faults)
				}
				if m.AllowLoopbackRemote || m.AllowPlaintextRemote || m.UserAgentSuffix != "" {
					t.Errorf("%q is used", value)
				}
			})
		}
	}
}

// Each of the twin's two values overrides the environment's. A login is sent only to the
// proxy that it belongs to, not to another one that a twin names.
func TestRemoteProxy(t *testing.T) {
	const site = "http://site:canary@proxy:3128"
	login := func(host string, more env) env {
		e := env{"RTSPTUNNEL_PROXY_USERNAME": "edge", "RTSPTUNNEL_PROXY_PASSWORD": "canary:p", "RTSPTUNNEL_PROXY_HOST": host}
		maps.Copy(e, more)
		return e
	}
	for name, c := range map[string]struct {
		env              env
		address, noProxy string // the twin's
		to, want         string
		origin, host     string
		auth             bool
	}{
		"none":                     {nil, "", "", "https://gw", "", "none", "", false},
		"the environment's":        {env{"https_proxy": site}, "", "", "https://gw", site, "environment", "proxy:3128", true},
		"without a login":          {env{"https_proxy": "https://proxy"}, "", "", "https://gw", "https://proxy", "environment", "proxy:443", false},
		"for wss alone":            {env{"https_proxy": site}, "", "", "http://gw", "", "environment", "proxy:3128", true},
		"for ws alone":             {env{"http_proxy": site}, "", "", "http://gw", site, "none", "", false},
		"http_proxy and wss":       {env{"http_proxy": site}, "", "", "https://gw", "", "none", "", false},
		"the twin's":               {nil, "https://twin", "", "https://gw", "https://twin", "twin", "twin:443", false},
		"the twin's for ws":        {env{"http_proxy": site}, "http://twin", "", "http://gw", "http://twin", "twin", "twin:80", false},
		"the twin's IPv6":          {nil, "http://[2001:db8::1]", "", "https://gw", "http://[2001:db8::1]", "twin", "[2001:db8::1]:80", false},
		"the twin wins":            {env{"https_proxy": site}, "http://twin:3128", "", "https://gw", "http://twin:3128", "twin", "twin:3128", false},
		"login of the host":        {login("TWIN", nil), "http://twin:3128", "", "https://gw", "http://edge:canary%3Ap@twin:3128", "twin", "twin:3128", true},
		"of host and port":         {login("twin:3128", nil), "https://twin:3128", "", "https://gw", "https://edge:canary%3Ap@twin:3128", "twin", "twin:3128", true},
		"of the default port":      {login("twin:80", nil), "http://twin.", "", "https://gw", "http://edge:canary%3Ap@twin.", "twin", "twin.:80", true},
		"of an IPv6 address":       {login("[2001:db8::1]", nil), "http://[2001:db8::1]:3128", "", "https://gw", "http://edge:canary%3Ap@[2001:db8::1]:3128", "twin", "[2001:db8::1]:3128", true},
		"login of another port":    {login("twin:3129", nil), "http://twin:3128", "", "https://gw", "http://twin:3128", "twin", "twin:3128", false},
		"login of another host":    {login("win", nil), "http://twin:3128", "", "https://gw", "http://twin:3128", "twin", "twin:3128", false},
		"login of no host":         {login("", nil), "http://twin:3128", "", "https://gw", "http://twin:3128", "twin", "twin:3128", false},
		"of the environment's":     {login("", env{"https_proxy": "http://proxy"}), "http://proxy", "", "https://gw", "http://edge:canary%3Ap@proxy", "twin", "proxy:80", true},
		"not of the environment's": {login("", env{"https_proxy": "http://proxy"}), "http://twin", "", "https://gw", "http://twin", "twin", "twin:80", false},
		"bound to the twin's":      {login("twin", env{"https_proxy": "http://proxy"}), "", "", "https://gw", "http://proxy", "environment", "proxy:80", false},
		"bound, beside a URL's":    {login("twin", env{"https_proxy": site}), "http://twin", "", "https://gw", "http://edge:canary%3Ap@twin", "twin", "twin:80", true},
		"the same proxy":           {env{"https_proxy": "http://site:canary@proxy:80"}, "http://PROXY", "", "https://gw", "http://site:canary@PROXY", "twin", "PROXY:80", true},
		"login for ws alone":       {env{"https_proxy": "http://proxy:3128", "http_proxy": site}, "http://proxy:3128", "", "https://gw", site, "twin", "proxy:3128", true},
		"another port":             {env{"https_proxy": site}, "http://proxy:3129", "", "https://gw", "http://proxy:3129", "twin", "proxy:3129", false},
		"without the proxy's TLS":  {env{"https_proxy": "https://site:canary@proxy:3128"}, "http://proxy:3128", "", "https://gw", "http://proxy:3128", "twin", "proxy:3128", false},
		"the twin's exceptions":    {env{"https_proxy": site, "no_proxy": "gw"}, "", "other", "https://gw", site, "environment", "proxy:3128", true},
		"exempt by the twin":       {env{"https_proxy": site}, "", "10.0.0.0/8,.gw", "https://a.gw", "", "environment", "proxy:3128", true},
		"exempt by both sides":     {env{"no_proxy": "gw"}, "http://twin", "", "https://gw", "", "twin", "twin:80", false},
		"exempt by a full name":    {env{"https_proxy": site, "no_proxy": ".gw:8443,10.0.0.0/8"}, "", "", "https://a.gw.:8443", "", "environment", "proxy:3128", true},
		"repairs the environment":  {env{"https_proxy": "socks5://proxy"}, "http://twin", "", "https://gw", "http://twin", "twin", "twin:80", false},
		"loopback":                 {env{"https_proxy": site}, "http://twin", "", "https://127.0.0.1:8443", "", "twin", "twin:80", false},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, injected)
			set(t, c.env)
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			p, err := m.RemoteProxy(c.address, c.noProxy)
			if err != nil {
				t.Fatal(err)
			}
			to, err := url.Parse(c.to)
			if err != nil {
				t.Fatal(err)
			}
			u, err := p.For(to)
			got := ""
			if u != nil {
				got = u.String()
			}
			if err != nil || got != c.want || p.Origin != c.origin || p.Host != c.host || p.Auth != c.auth {
				t.Errorf("got %s (%v), %s %s %t", got, err, p.Origin, p.Host, p.Auth)
			}
			if other := c.address != "" && len(c.env) > 0 && !c.auth && strings.Contains(fmt.Sprint(c.env), "canary"); p.OtherLogin != other {
				t.Errorf("another host's login: %t, want %t", p.OtherLogin, other)
			}
			if text := fmt.Sprintf("%v %+v %#v", p, p, m); strings.Contains(text, "canary") {
				t.Errorf("the login appears in %s", text)
			}
		})
	}
}

// A login without a host that it belongs to is sent to no proxy, and is a fault.
func TestRead_proxyLoginWithoutAHost(t *testing.T) {
	const user, host = "RTSPTUNNEL_PROXY_USERNAME", "RTSPTUNNEL_PROXY_HOST"
	for name, c := range map[string]struct {
		env  env
		want string // the variable with the fault
	}{
		"no host":       {env{user: "canary"}, user},
		"https_proxy":   {env{user: "canary", "https_proxy": "http://proxy"}, ""},
		"http_proxy":    {env{user: "canary", "http_proxy": "http://proxy"}, ""},
		"a host":        {env{user: "canary", host: "proxy"}, ""},
		"an IPv6 host":  {env{user: "canary", host: "2001:db8::1"}, ""},
		"a URL":         {env{user: "canary", host: "http://canary"}, host},
		"port 0":        {env{user: "canary", host: "canary:0"}, host},
		"no name":       {env{user: "canary", host: ":3128"}, host},
		"two ports":     {env{user: "canary", host: "canary:1:2"}, host},
		"several hosts": {env{user: "canary", host: "canary,other"}, host},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, injected)
			set(t, c.env)
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" != (len(m.Faults) == 0) || c.want != "" && (m.Faults[0].Variable != c.want || strings.Contains(m.Faults[0].String(), "canary")) {
				t.Errorf("faults %v, want one of %q", m.Faults, c.want)
			}
			if c.want == "" {
				return
			}
			if p, err := m.RemoteProxy("http://proxy:3128", ""); err != nil || p.Auth {
				t.Errorf("%+v, %v: the twin's proxy is sent the login", p, err)
			}
		})
	}
}

func TestRemoteProxy_unusable(t *testing.T) {
	set(t, injected)
	set(t, env{"https_proxy": "socks5://canary", "no_proxy": "exempt"})
	m, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"socks5://canary", "http://u:canary@proxy", "http://canary@proxy", "http://@canary", "http://", "://canary", "http://proxy/canary", " "} {
		if p, err := m.RemoteProxy(address, ""); err == nil || p.For != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %+v, %v", address, p, err)
		}
	}
	p, err := m.RemoteProxy("", "")
	if err != nil || p.Origin != "environment" || p.Host != "" || p.Auth {
		t.Errorf("%+v, %v", p, err)
	}
	if u, err := p.For(&url.URL{Scheme: "https", Host: "gw"}); u != nil || err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v, %v", u, err)
	}
	if u, err := p.For(&url.URL{Scheme: "https", Host: "exempt"}); u != nil || err != nil {
		t.Errorf("%v, %v", u, err)
	}
}

package config_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"rtsptunnel/internal/module/config"
)

func TestRead_transport(t *testing.T) {
	set(t, injected)
	set(t, env{"RTSPTUNNEL_PROTOCOL": "MqttWS", "RTSPTUNNEL_HUB_WS_ADDRESS": "[::1]:8443"})
	m, err := config.Read()
	if err != nil || len(m.Faults) != 0 || m.Protocol != "mqttws" || m.HubWSAddress != "[::1]:8443" || m.HubAddress != "" || m.Proxy != nil {
		t.Errorf("%v, %+v", err, m)
	}
}

// The proxy rules match those of most programs, apply to https only, and are read once.
func TestRead_proxy(t *testing.T) {
	const proxy = "http://site:canary@proxy:3128"
	for name, c := range map[string]struct {
		env       env
		to, proxy string
	}{
		"none":             {nil, "hub1", ""},
		"http_proxy only":  {env{"http_proxy": proxy, "HTTP_PROXY": proxy}, "hub1", ""},
		"https":            {env{"https_proxy": proxy}, "hub1", proxy},
		"proxy with TLS":   {env{"https_proxy": "https://proxy"}, "hub1", "https://proxy"},
		"login variables":  {env{"https_proxy": "http://proxy:3128", "RTSPTUNNEL_PROXY_USERNAME": "site", "RTSPTUNNEL_PROXY_PASSWORD": "canary"}, "hub1", proxy},
		"login twice":      {env{"https_proxy": proxy, "RTSPTUNNEL_PROXY_USERNAME": "other", "RTSPTUNNEL_PROXY_PASSWORD": "canary"}, "hub1", proxy},
		"in capitals":      {env{"HTTPS_PROXY": proxy}, "hub1", proxy},
		"host and port":    {env{"https_proxy": "proxy:3128"}, "hub1", "http://proxy:3128"},
		"exception":        {env{"https_proxy": proxy, "no_proxy": "x,.azure-devices.net"}, "hub1.azure-devices.net:8883", ""},
		"exception's port": {env{"https_proxy": proxy, "no_proxy": "hub1:8883"}, "hub1:443", proxy},
		"network":          {env{"https_proxy": proxy, "no_proxy": "10.0.0.0/8"}, "10.1.2.3", ""},
		"all":              {env{"https_proxy": proxy, "NO_PROXY": "*"}, "hub1", ""},
		"this machine":     {env{"https_proxy": proxy}, "localhost:443", ""},
		"loopback":         {env{"https_proxy": proxy}, "127.3.2.1:443", ""},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, injected)
			set(t, c.env)
			m, err := config.Read()
			if err != nil || len(m.Faults) != 0 {
				t.Fatalf("%v, faults %v", err, m.Faults)
			}
			t.Setenv("https_proxy", "http://later")
			got := ""
			if m.Proxy != nil {
				u, err := m.Proxy(&url.URL{Scheme: "https", Host: c.to})
				if err != nil {
					t.Error(err)
				}
				if u != nil {
					got = u.String()
				}
			}
			if got != c.proxy {
				t.Errorf("got %q, want %q", got, c.proxy)
			}
			if text := fmt.Sprintf("%v %+v %#v", m, m, m); strings.Contains(text, "canary") {
				t.Errorf("the login appears in %s", text)
			}
		})
	}
}

// There is no direct fallback for an unusable proxy.
func TestRead_unusableProxy(t *testing.T) {
	for _, value := range []string{"http://site:can%ary@proxy", "http://proxy:0", "http://proxy:70000", "http://proxy/canary", "http://proxy?can=ary", "socks5://proxy", "http://", "http://:3128", "http://proxy:canary", " "} {
		set(t, injected)
		set(t, env{"https_proxy": value, "no_proxy": "exempt"})
		m, err := config.Read()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Faults) != 1 || m.Faults[0].Variable != "https_proxy" || strings.Contains(m.Faults[0].String(), "can") && strings.Contains(m.Faults[0].String(), "ary") {
			t.Errorf("%q: faults %v", value, m.Faults)
		}
		if m.Proxy == nil {
			t.Fatalf("%q is treated as no proxy", value)
		}
		if u, err := m.Proxy(&url.URL{Scheme: "https", Host: "hub1"}); err == nil || u != nil || strings.Contains(err.Error(), "ary") {
			t.Errorf("%q: got %v, %v", value, u, err)
		}
		if u, err := m.Proxy(&url.URL{Scheme: "https", Host: "exempt"}); err != nil || u != nil {
			t.Errorf("%q: got %v, %v for an exception", value, u, err)
		}
	}
}

package config

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// readTransport takes what says how hub and remote endpoints are reached.
func (m *Module) readTransport(own own) {
	m.Protocol = "auto"
	switch name := strings.ToLower(own.Protocol); name {
	case "":
	case "auto", "mqtt", "mqttws":
		m.Protocol = name
	default:
		m.fault("RTSPTUNNEL_PROTOCOL", "is not auto, mqtt or mqttws; auto is in force")
	}
	m.HubAddress = m.address("RTSPTUNNEL_HUB_ADDRESS", own.HubAddress)
	m.HubWSAddress = m.address("RTSPTUNNEL_HUB_WS_ADDRESS", own.HubWSAddress)
	m.readProxy()
}

func (m *Module) fault(variable, text string) { m.Faults = append(m.Faults, Fault{variable, text}) }

// address is value if it can be dialled, or the default.
func (m *Module) address(variable, value string) string {
	if host, port, err := net.SplitHostPort(value); value == "" || err == nil && host != "" && isHost(host) && isPort(port) && port != "0" {
		return value
	}
	m.fault(variable, "is not host:port; the hub's own name and port are dialled")
	return ""
}

var errProxy = errors.New("https_proxy cannot be used")

// readProxy takes the rules that most programs share: HTTPS_PROXY or https_proxy,
// and NO_PROXY or no_proxy; localhost and 127.0.0.0/8 never go through a proxy. A
// proxy that cannot be used is no permission to go around it.
func (m *Module) readProxy() {
	rules := httpproxy.FromEnvironment()
	if rules.HTTPSProxy == "" {
		return
	}
	// httpproxy takes what it cannot parse for no proxy.
	proxy, err := (&httpproxy.Config{HTTPSProxy: rules.HTTPSProxy}).ProxyFunc()(&url.URL{Scheme: "https", Host: "any.invalid"})
	if err == nil && proxy != nil && proxy.Scheme == "http" && proxy.Hostname() != "" && (proxy.Path == "" || proxy.Path == "/") {
		m.Proxy = rules.ProxyFunc()
		return
	}
	m.fault("https_proxy", "is not an http URL, host:port at least; nothing that it is for can be reached")
	rules.HTTPSProxy = "http://unusable.invalid"
	exceptions := rules.ProxyFunc()
	m.Proxy = func(u *url.URL) (*url.URL, error) {
		if proxy, err := exceptions(u); proxy == nil {
			return nil, err
		}
		return nil, errProxy
	}
}

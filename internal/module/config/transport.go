package config

import (
	"net"
	"strings"
)

// readTransport sets how the module reaches the hub and remote endpoints.
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
	m.readProxy(own)
	m.readRemote(own)
}

func (m *Module) fault(variable, text string) { m.Faults = append(m.Faults, Fault{variable, text}) }

// address returns value if it can be dialed, else "", which means the default.
func (m *Module) address(variable, value string) string {
	if host, port, err := net.SplitHostPort(value); value == "" || err == nil && host != "" && isHost(host) && isPort(port) && port != "0" {
		return value
	}
	m.fault(variable, "is not host:port; the module dials the hub's own name and port")
	return ""
}

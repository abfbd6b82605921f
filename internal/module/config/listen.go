package config

import (
	"net"
	"strconv"
	"strings"
)

// defaultListen binds to loopback: on the host network, any other address would expose
// the port on the device's interfaces.
const defaultListen = "127.0.0.1:9600"

// MetricsListen returns Module.MetricsListen, for a command without an identity.
func MetricsListen() (string, error) {
	var e environment
	if err := e.read(); err != nil {
		return "", err
	}
	var m Module
	m.readListen(e.own.MetricsListen)
	return m.MetricsListen, nil
}

// readListen sets the address that serves /livez and /readyz.
func (m *Module) readListen(value string) {
	m.MetricsListen = defaultListen
	switch {
	case value == "":
	case strings.EqualFold(value, "off"):
		m.MetricsListen = ""
	case isListenAddress(value):
		m.MetricsListen = value
	default:
		m.Faults = append(m.Faults, Fault{"RTSPTUNNEL_METRICS_LISTEN", "is neither host:port nor off; " + defaultListen + " is in force"})
	}
}

// isListenAddress accepts an empty host, which means all interfaces.
func isListenAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	return isPort(port) && isHost(host)
}

// isHost accepts names, addresses and the empty string.
func isHost(s string) bool { return isHostName(s) || net.ParseIP(s) != nil }

// isPort accepts 0 to 65535.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

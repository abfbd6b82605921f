package config

import (
	"net"
	"strconv"
	"strings"
)

// defaultListen is loopback: on the host network a port is on all of the device's
// interfaces.
const defaultListen = "127.0.0.1:9600"

// MetricsListen is Module.MetricsListen, for a command that has no identity.
func MetricsListen() (string, error) {
	var e environment
	if err := e.read(); err != nil {
		return "", err
	}
	var m Module
	m.readListen(e.own.MetricsListen)
	return m.MetricsListen, nil
}

// readListen takes where to serve metrics and health.
func (m *Module) readListen(value string) {
	m.MetricsListen = defaultListen
	switch {
	case value == "":
	case strings.EqualFold(value, "off"):
		m.MetricsListen = ""
	case isListen(value):
		m.MetricsListen = value
	default:
		m.Faults = append(m.Faults, Fault{"RTSPTUNNEL_METRICS_LISTEN", "is neither host:port nor off; " + defaultListen + " is in force"})
	}
}

// isListen lets through an empty host, which is all interfaces.
func isListen(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	return isPort(port) && isHost(host)
}

// isHost lets through names, addresses and nothing.
func isHost(s string) bool { return isHostName(s) || net.ParseIP(s) != nil }

// isPort lets through numbers, 0 too.
func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

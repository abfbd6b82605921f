package hubconn

import (
	"net"
	"net/url"
)

// Protocol is what carries MQTT to the hub, over TLS.
type Protocol string

// The protocols of a hub ("Communicate with an IoT hub using the MQTT protocol").
const (
	MQTT   Protocol = "mqtt"   // TCP, port 8883
	MQTTWS Protocol = "mqttws" // a WebSocket, port 443
)

// port is the protocol's default port.
func (p Protocol) port() string {
	if p == MQTTWS {
		return "443"
	}
	return "8883"
}

// Route is one route to the hub. Create it by Dialer.Route.
type Route struct {
	Protocol Protocol
	Address  string // host:port to dial

	server   string // the name that the certificate must have
	loopback string // host:port to dial if the address's name does not exist; may be empty
	proxy    *url.URL
	err      error // why the proxy is not known; nothing is dialed then
}

// Proxied tells whether the route leads through a proxy, or whether the proxy settings
// cannot be evaluated.
func (r Route) Proxied() bool { return r.proxy != nil || r.err != nil }

// Route returns the route by protocol p to address, a host:port. If address is empty,
// it is the hub's or the gateway's name with the protocol's default port.
//
// Modules on the host network cannot resolve the gateway's name, which is a name in
// Docker's network. The edge hub publishes its ports on the host, so 127.0.0.1 is dialed
// if that name does not exist.
func (d *Dialer) Route(p Protocol, address string) Route {
	r := Route{Protocol: p, Address: address, server: d.o.Identity.server()}
	gateway := d.o.Identity.GatewayHost != ""
	if address == "" {
		r.Address = net.JoinHostPort(r.server, p.port())
	}
	if address == "" && gateway {
		r.loopback = net.JoinHostPort("127.0.0.1", p.port())
	}
	if d.o.Proxy != nil && !gateway {
		r.proxy, r.err = d.o.Proxy(&url.URL{Scheme: "https", Host: r.Address})
	}
	return r
}

package edge

import (
	"net"
	"net/url"
)

// Protocol is what carries MQTT to the hub, over TLS.
type Protocol string

// The protocols by which a hub can be reached ("Communicate with an IoT hub using
// the MQTT protocol"); Auto finds out which.
const (
	Auto   Protocol = "auto"
	MQTT   Protocol = "mqtt"   // TCP, port 8883
	MQTTWS Protocol = "mqttws" // a WebSocket, port 443
)

// way is one way to the hub.
type way struct {
	protocol Protocol
	address  string // host:port to dial
	server   string // the name that the certificate must hold
	loopback string // host:port to dial if the address's name does not exist; may be empty
	proxy    *url.URL
	err      error // why nobody knows whether there is a proxy; nothing is dialled then
}

// via tells whether a proxy is on the way, or may be.
func (w way) via() bool { return w.proxy != nil || w.err != nil }

// way is where the options lead by one protocol, whose port is the default one.
// Modules of the host network cannot resolve the gateway's name, which is Docker's;
// the edge hub publishes its ports on the host. The gateway is inside the site and
// never behind a proxy.
func (o Options) way(p Protocol, address, port string) way {
	w := way{protocol: p, address: address, server: o.Identity.server()}
	gateway := o.Identity.GatewayHost != ""
	if address == "" {
		w.address = net.JoinHostPort(w.server, port)
	}
	if address == "" && gateway {
		w.loopback = net.JoinHostPort("127.0.0.1", port)
	}
	if o.Proxy != nil && !gateway {
		w.proxy, w.err = o.Proxy(&url.URL{Scheme: "https", Host: w.address})
	}
	return w
}

// ways are those that the options leave open, the best first.
func (o Options) ways() []way {
	mqtt := o.way(MQTT, o.Address, "8883")
	ws := o.way(MQTTWS, o.WebSocketAddress, "443")
	switch {
	case o.Protocol == MQTT:
		return []way{mqtt}
	case o.Protocol == MQTTWS:
		return []way{ws}
	// Who says where the hub is by one protocol does not want it to be looked for
	// elsewhere by the other.
	case o.Address != "" && o.WebSocketAddress == "":
		return []way{mqtt}
	case o.Address == "" && o.WebSocketAddress != "":
		return []way{ws}
	// Proxies are there for port 443; most refuse any other.
	case mqtt.via():
		return []way{ws}
	}
	return []way{mqtt, ws}
}

// route chooses the way of each attempt. A firewall that drops packets makes an
// attempt last as long as it may, so that the way that led to the hub once is the
// first to be tried again.
type route struct {
	ways   []way
	best   int // index of the way that led to the hub last
	failed int // attempts in a row
}

// triesFirst is how many attempts in a row the best way gets before the others have
// their turn, too.
const triesFirst = 2

// next is the way of the next attempt.
func (r *route) next() way {
	i := r.best
	if r.failed >= triesFirst {
		i += r.failed - 1
	}
	return r.ways[i%len(r.ways)]
}

// result tells whether the attempt that next gave has led to the hub.
func (r *route) result(w way, arrived bool) {
	if !arrived {
		r.failed++
		return
	}
	r.failed = 0
	for i := range r.ways {
		if r.ways[i].protocol == w.protocol {
			r.best = i
		}
	}
}

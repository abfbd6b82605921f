package hublink

import "rtsptunnel/internal/module/hubconn"

// openRoutes returns the routes that the options allow, the best first.
func openRoutes(d *hubconn.Dialer, o Options) []hubconn.Route {
	mqtt := d.Route(hubconn.MQTT, o.Address)
	ws := d.Route(hubconn.MQTTWS, o.WebSocketAddress)
	switch {
	case o.Protocol == hubconn.MQTT:
		return []hubconn.Route{mqtt}
	case o.Protocol == hubconn.MQTTWS:
		return []hubconn.Route{ws}
	// An address for one protocol alone means that the hub is not elsewhere.
	case o.Address != "" && o.WebSocketAddress == "":
		return []hubconn.Route{mqtt}
	case o.Address == "" && o.WebSocketAddress != "":
		return []hubconn.Route{ws}
	// Proxies are made for port 443; most refuse any other.
	case mqtt.Proxied():
		return []hubconn.Route{ws}
	}
	return []hubconn.Route{mqtt, ws}
}

// routes chooses the route of each attempt. Behind a firewall that drops packets an
// attempt takes the whole timeout, so the route that worked last is retried first.
type routes struct {
	all    []hubconn.Route
	best   int // index of the route that led to the hub last
	failed int // attempts in a row
}

// triesFirst is how many attempts in a row the best route gets before the others.
const triesFirst = 2

// next returns the route of the next attempt.
func (r *routes) next() hubconn.Route {
	i := r.best
	if r.failed >= triesFirst {
		i += r.failed - 1
	}
	return r.all[i%len(r.all)]
}

// result notes whether an attempt on the route led to the hub.
func (r *routes) result(route hubconn.Route, arrived bool) {
	if !arrived {
		r.failed++
		return
	}
	r.failed = 0
	for i := range r.all {
		if r.all[i].Protocol == route.Protocol {
			r.best = i
		}
	}
}

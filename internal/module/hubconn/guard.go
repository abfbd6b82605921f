package hubconn

import (
	"errors"
	"net"

	"rtsptunnel/internal/contract/reason"
)

var (
	errSubackRefused = reason.New(reason.HubSubscription, errors.New("the hub refused a subscription"))
	errMalformed     = reason.New(reason.HubProtocol, errors.New("the hub sent a malformed MQTT packet, or one that only clients send"))
	errNoAnswer      = errors.New("the hub did not answer a ping, or did not read a packet, in time")
	errConnack       = reason.New(reason.HubProtocol, errors.New("the hub answered the login with a code that MQTT 3.1.1 does not have"))
)

// guard is a connection to the hub that ends at packets which the MQTT client (paho 1.5.1)
// handles badly:
//   - a refused subscription counts as granted, and a CONNACK with an unknown return code
//     as accepted;
//   - a SUBACK with more return codes than topics ends the process;
//   - packets of QoS 2 are kept for as long as the hub likes.
//
// The client allocates a length of 256 MB before the first byte has arrived. The guard
// shortens a PUBLISH that is too large: see [largePublish].
//
// lost gets the reason at once. The client fails the waiting requests before it reports why.
type guard struct {
	net.Conn
	stream packets
	lost   func(error)

	ready []byte // for the client
	err   error  // after ready

	buffer []byte // for a PUBLISH that is too large; nil before the first one
}

// largeBuffer returns what a PUBLISH that is too large is read into.
func (g *guard) largeBuffer() []byte {
	if g.buffer == nil {
		g.buffer = make([]byte, largePart)
	}
	return g.buffer
}

func (g *guard) Read(p []byte) (int, error) {
	for len(p) > 0 && len(g.ready) == 0 && g.err == nil {
		buffer := p
		if g.stream.large != nil { // the client reads the start of a packet byte by byte
			buffer = g.largeBuffer()
		}
		n, err := g.Conn.Read(buffer)
		kept, bad := g.stream.next(buffer[:n])
		if bad != nil {
			err = bad
		}
		switch {
		case errors.Is(err, net.ErrClosed): // by the client, which reports why only after it has failed the requests
			g.lost(errNoAnswer)
		case err != nil:
			g.lost(err)
		}
		g.err = err
		if bad == nil && err == nil && n > 0 && len(kept) == n && &kept[0] == &p[0] {
			return n, nil
		}
		g.ready = kept
	}
	n := copy(p, g.ready)
	g.ready = g.ready[n:]
	if n > 0 {
		return n, nil
	}
	return 0, g.err
}

package hubconn

import (
	"errors"
	"net"

	"rtsptunnel/internal/contract/reason"
)

// The packets of MQTT 3.1.1 that a hub may send (section 2.2.1). Packets of QoS 2 are not
// among them: this package neither publishes nor subscribes with QoS 2.
const (
	typeConnack  = 2
	typePublish  = 3
	typePuback   = 4
	typeSuback   = 9
	typeUnsuback = 11
	typePingresp = 13
)

const (
	// maxPublish is the limit of a PUBLISH, in bytes. A method has 128 KB, a whole twin
	// 64 KB of values, an edge hub's message 256 KB.
	maxPublish    = 1 << 20
	maxQoS        = 1
	maxConnack    = 5    // the highest return code (section 3.2.2.3)
	subackFailure = 0x80 // the return code's bit for a failure (section 3.9.3)
	maxLengthByte = 4    // of a remaining length (section 2.2.3)
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
//   - a length of 256 MB is allocated before the first byte has arrived;
//   - packets of QoS 2 are kept for as long as the hub likes.
//
// lost gets the reason at once. The client fails the waiting requests before it reports why.
type guard struct {
	net.Conn
	stream packets
	lost   func(error)
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if bad := g.stream.next(p[:n]); bad != nil {
		n, err = 0, bad
	}
	switch {
	case errors.Is(err, net.ErrClosed): // by the client, which reports why only after it has failed the requests
		g.lost(errNoAnswer)
	case err != nil:
		g.lost(err)
	}
	return n, err
}

// packets finds the boundaries of MQTT packets in a stream. Its zero value is the position
// before the first packet.
type packets struct {
	inside bool // after the first byte
	kind   byte
	sized  bool // after the remaining length
	digits int  // bytes of the remaining length
	left   int  // bytes of the body that are still to come
}

// next checks the stream's next bytes.
func (s *packets) next(b []byte) error {
	for len(b) > 0 {
		switch {
		case !s.inside:
			if err := s.begin(b[0]); err != nil {
				return err
			}
			b = b[1:]
		case !s.sized:
			if err := s.length(b[0]); err != nil {
				return err
			}
			b = b[1:]
		default:
			n := min(s.left, len(b))
			s.left -= n
			if s.left == 0 {
				if err := s.end(b[n-1]); err != nil {
					return err
				}
			}
			b = b[n:]
		}
		s.inside = s.inside && (!s.sized || s.left > 0)
	}
	return nil
}

// begin checks a packet's first byte.
func (s *packets) begin(b byte) error {
	*s = packets{inside: true, kind: b >> 4}
	if _, known := s.expected(); !known || s.kind == typePublish && b>>1&3 > maxQoS {
		return errMalformed
	}
	return nil
}

// expected is the remaining length of the packet, for a PUBLISH the limit. It is not known
// for packets that a hub does not send.
func (s *packets) expected() (length int, known bool) {
	switch s.kind {
	case typePublish:
		return maxPublish, true
	case typeConnack, typePuback, typeUnsuback: // flags and a return code, or a packet id
		return 2, true
	case typeSuback: // a packet id and one return code: each SUBSCRIBE here has one topic
		return 3, true
	case typePingresp:
		return 0, true
	}
	return 0, false
}

// length reads one byte of the remaining length, the lowest seven bits first.
func (s *packets) length(b byte) error {
	s.left |= int(b&0x7f) << (7 * s.digits)
	s.digits++
	s.sized = b&0x80 == 0
	if !s.sized && s.digits == maxLengthByte {
		return errMalformed
	}
	if most, _ := s.expected(); s.sized && (s.left > most || s.left < most && s.kind != typePublish) {
		return errMalformed
	}
	return nil
}

// end checks a packet's last byte.
func (s *packets) end(b byte) error {
	switch {
	case s.kind == typeSuback && b&subackFailure != 0:
		return errSubackRefused
	case s.kind == typeConnack && b > maxConnack:
		return errConnack
	}
	return nil
}

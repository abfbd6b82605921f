package edge

import (
	"errors"
	"net"

	"rtsptunnel/internal/reason"
)

// The one packet of MQTT 3.1.1 that is looked at here (section 3.9).
const (
	typeSuback    = 9
	subackLength  = 3    // a packet id and one return code: we subscribe to one topic at a time
	subackFailure = 0x80 // the return code's bit for no
	maxLengthByte = 4    // of a remaining length (section 2.2.3)
)

var (
	errSubackRefused = reason.New(reason.HubSubscription, errors.New("the hub refused a subscription"))
	errMalformed     = reason.New(reason.HubProtocol, errors.New("the hub sent a malformed MQTT packet"))
)

// guard is the connection to the hub, watched for what the MQTT client does not see:
// a refused subscription looks to it like a granted one, and a SUBACK of another
// length ends the process (paho 1.5.1, net.go: more return codes than topics). Here
// both end the connection. The reason is told at once: the client fails the requests
// that wait before it tells why.
type guard struct {
	net.Conn
	watch packets
	lost  func(error)
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if bad := g.watch.next(p[:n]); bad != nil {
		n, err = 0, bad
	}
	if err != nil {
		g.lost(err)
	}
	return n, err
}

// packets follows the borders of MQTT packets in a stream. Its zero value stands
// before the first.
type packets struct {
	inside bool // past the first byte
	kind   byte
	sized  bool // past the remaining length
	digits int  // bytes of the remaining length
	left   int  // bytes of the body that are still to come
}

// next takes the stream's next bytes.
func (s *packets) next(b []byte) error {
	for len(b) > 0 {
		switch {
		case !s.inside:
			*s = packets{inside: true, kind: b[0] >> 4}
			b = b[1:]
		case !s.sized:
			if err := s.length(b[0]); err != nil {
				return err
			}
			b = b[1:]
		default:
			n := min(s.left, len(b))
			s.left -= n
			if s.left == 0 && s.kind == typeSuback && b[n-1]&subackFailure != 0 {
				return errSubackRefused
			}
			b = b[n:]
		}
		s.inside = s.inside && (!s.sized || s.left > 0)
	}
	return nil
}

// length takes one byte of the remaining length, the lowest seven bits first.
func (s *packets) length(b byte) error {
	s.left |= int(b&0x7f) << (7 * s.digits)
	s.digits++
	s.sized = b&0x80 == 0
	if !s.sized && s.digits == maxLengthByte || s.sized && s.kind == typeSuback && s.left != subackLength {
		return errMalformed
	}
	return nil
}

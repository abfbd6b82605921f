package hubconn

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
	// maxPublish is the largest PUBLISH that the client gets, in bytes. A method has 128 KB,
	// a whole twin 64 KB of values, an edge hub's message 256 KB.
	maxPublish    = 1 << 20
	maxQoS        = 1
	maxConnack    = 5    // the highest return code (section 3.2.2.3)
	subackFailure = 0x80 // the return code's bit for a failure (section 3.9.3)
	maxLengthByte = 4    // of a remaining length (section 2.2.3)
)

// packets finds the boundaries of MQTT packets in a stream. Its zero value is the position
// before the first packet.
type packets struct {
	largeTwin func() LargeTwin // may be nil
	received  func()           // called for each part of a PUBLISH that is too large; may be nil

	inside bool // after the first byte
	sized  bool // after the remaining length
	header []byte
	left   int           // bytes of the body that are still to come
	large  *largePublish // nil if the client gets the packet as it is
}

// next checks the stream's next bytes, and returns those that the client gets. The result
// may be a part of b. It is empty with an error.
func (s *packets) next(b []byte) (kept []byte, err error) {
	if s.sized && s.large == nil && len(b) <= s.left {
		return b, s.body(b)
	}
	for len(b) > 0 {
		switch {
		case !s.inside:
			err = s.begin(b[0])
			b = b[1:]
		case !s.sized:
			err = s.length(b[0])
			b = b[1:]
			if s.sized && s.large == nil {
				kept = append(kept, s.header...)
			}
		default:
			part := b[:min(s.left, len(b))]
			b = b[len(part):]
			if s.large == nil {
				kept = append(kept, part...)
				err = s.body(part)
				break
			}
			var some []byte
			some, err = s.large.next(part)
			kept = append(kept, some...)
			if err == nil {
				err = s.body(part)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// kind is the packet's type.
func (s *packets) kind() byte { return s.header[0] >> 4 }

// begin checks a packet's first byte.
func (s *packets) begin(b byte) error {
	s.inside, s.sized, s.left, s.large = true, false, 0, nil
	s.header = append(s.header[:0], b)
	if _, known := s.expected(); !known || s.kind() == typePublish && b>>1&3 > maxQoS {
		return errMalformed
	}
	return nil
}

// expected is the remaining length of the packet; a PUBLISH may have any. It is not known
// for packets that a hub does not send.
func (s *packets) expected() (length int, known bool) {
	switch s.kind() {
	case typePublish:
		return 0, true
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
	digits := len(s.header) - 1
	s.header = append(s.header, b)
	s.left |= int(b&0x7f) << (7 * digits)
	s.sized = b&0x80 == 0
	if !s.sized && digits+1 == maxLengthByte {
		return errMalformed
	}
	if !s.sized {
		return nil
	}
	if want, _ := s.expected(); s.left != want && s.kind() != typePublish {
		return errMalformed
	}
	if s.left > maxPublish {
		s.large = &largePublish{first: s.header[0], left: s.left, newTwin: s.largeTwin, received: s.received}
	}
	s.inside = s.left > 0
	return nil
}

// body notes bytes of the packet's body, and checks its last one.
func (s *packets) body(b []byte) error {
	s.left -= len(b)
	if s.left > 0 || len(b) == 0 {
		return nil
	}
	s.inside, s.sized = false, false
	last := b[len(b)-1]
	switch {
	case s.kind() == typeSuback && last&subackFailure != 0:
		return errSubackRefused
	case s.kind() == typeConnack && last > maxConnack:
		return errConnack
	}
	return nil
}

package hubconn

import (
	"encoding/binary"
	"io"
	"strings"
)

// LargeTwin reads a twin that is too large to be kept. The twin is written to it in pieces,
// as it arrives. Document returns what ReadTwin returns in its place, at most 1 MiB less
// 64 KiB. It is called once, at the end.
type LargeTwin interface {
	io.Writer
	Document() []byte
}

const (
	twinTopic = "$iothub/twin/res/200/" // of the answer with a whole twin

	// largePart is after how many bytes the hub counts as alive.
	largePart = 64 << 10
)

// largePublish is a PUBLISH that is larger than maxPublish. The client gets a smaller one:
//   - of a twin, what LargeTwin makes of it, once all of it has arrived;
//   - of any other message, the first maxPublish bytes. A method's payload of that size is
//     refused, and the content of a patch of the twin is not used.
//
// The other bytes are dropped as they arrive. Meanwhile the client gets answers to pings,
// since the hub's own answers wait behind the message.
type largePublish struct {
	first    byte // of the fixed header
	left     int  // bytes that are still to come
	newTwin  func() LargeTwin
	received func()

	head    []byte // topic and packet id
	begun   bool   // head is complete
	twin    LargeTwin
	keep    int // bytes that the client still gets, if it is no twin
	dropped int // since the last sign of life
}

// next returns what the client gets instead of the next bytes.
func (l *largePublish) next(b []byte) (kept []byte, err error) {
	l.left -= len(b)
	if !l.begun {
		if b, err = l.readHead(b); err != nil || !l.begun {
			return nil, err
		}
		if l.twin == nil {
			kept = l.publish(maxPublish)
			l.keep = maxPublish - len(l.head)
		}
	}
	n := min(l.keep, len(b))
	kept = append(kept, b[:n]...)
	l.keep -= n
	if l.twin != nil {
		_, _ = l.twin.Write(b)
	}
	if l.left == 0 && l.twin != nil {
		doc := l.twin.Document()
		return append(append(kept, l.publish(len(l.head)+len(doc))...), doc...), nil
	}
	return l.alive(kept, len(b)-n), nil
}

// readHead reads topic and packet id, and returns the bytes after them.
func (l *largePublish) readHead(b []byte) (rest []byte, err error) {
	for len(b) > 0 {
		length := 2 // of what is known of the head
		if len(l.head) >= 2 {
			length += int(binary.BigEndian.Uint16(l.head)) + 2*int(l.first>>1&1)
		}
		n := min(length-len(l.head), len(b))
		l.head = append(l.head, b[:n]...)
		b = b[n:]
		if len(l.head) == length && length > 2 {
			l.begun = true
			break
		}
		if n == 0 {
			return nil, errMalformed // a topic without a name
		}
	}
	if !l.begun && l.left == 0 {
		return nil, errMalformed // the topic is longer than the packet
	}
	if l.begun && l.newTwin != nil && strings.HasPrefix(string(l.head[2:]), twinTopic) {
		l.twin = l.newTwin()
	}
	return b, nil
}

// publish returns a PUBLISH with this remaining length, up to the end of its head.
func (l *largePublish) publish(length int) []byte {
	packet := []byte{l.first}
	for more := true; more; {
		digit := byte(length & 0x7f)
		length >>= 7
		if more = length > 0; more {
			digit |= 0x80
		}
		packet = append(packet, digit)
	}
	return append(packet, l.head...)
}

// alive adds the answer to a ping after each part of the bytes that the client does not
// get.
func (l *largePublish) alive(kept []byte, dropped int) []byte {
	l.dropped += dropped
	if l.dropped < largePart {
		return kept
	}
	l.dropped = 0
	if l.received != nil {
		l.received()
	}
	return append(kept, typePingresp<<4, 0)
}

package wsconn

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// errProtocol marks bytes from the peer that RFC 6455 does not allow.
var errProtocol = errors.New("not a WebSocket's bytes")

func violation(text string) error { return fmt.Errorf("%w: %s", errProtocol, text) }

// frameReader reads the payloads of a WebSocket's data frames as one stream (RFC 6455, 5).
// gorilla's reader is not used: it takes a Close of one byte for a Close in order. After an
// error the caller reads no more.
type frameReader struct {
	in     *bufio.Reader     // its buffer holds at least a control frame's payload
	masked bool              // the peer is a client, whose frames are masked
	pinged func(data string) // answers a ping; must not block

	left  uint64  // bytes of the current data frame that were not read
	key   [4]byte // the mask of the next bytes
	begun bool    // the last data frame was not the last one of its message
}

// await blocks until a data frame has payload. A Close of the peer is the error
// *websocket.CloseError.
func (f *frameReader) await() error {
	for f.left == 0 {
		if err := f.nextFrame(); err != nil {
			return err
		}
	}
	return nil
}

// read reads payload of the current data frame, which has some.
func (f *frameReader) read(p []byte) (int, error) {
	n, err := f.in.Read(p[:min(uint64(len(p)), f.left)])
	f.left -= uint64(n) //nolint:gosec // not negative
	if f.masked {
		mask(p[:n], f.key)
		f.key = [4]byte{f.key[n%4], f.key[(n+1)%4], f.key[(n+2)%4], f.key[(n+3)%4]}
	}
	return n, noEOF(err)
}

// nextFrame reads a frame's header, and all of a control frame.
func (f *frameReader) nextFrame() error {
	b, err := f.take(2)
	if err != nil {
		return err
	}
	opcode, final, length := b[0]&0x0f, b[0]&0x80 != 0, uint64(b[1]&0x7f)
	if err := f.check(b[0], b[1]); err != nil {
		return err
	}
	if length, err = f.length(length); err != nil {
		return err
	}
	if f.masked {
		key, err := f.take(len(f.key))
		if err != nil {
			return err
		}
		copy(f.key[:], key)
	}
	if opcode >= opClose {
		return f.control(opcode, int(length)) //nolint:gosec // at most maxControl
	}
	f.left, f.begun = length, !final
	return nil
}

// check checks the first two bytes of a frame (RFC 6455, 5.2, 5.4 and 5.5).
func (f *frameReader) check(first, second byte) error {
	opcode, final := first&0x0f, first&0x80 != 0
	switch {
	case first&0x70 != 0:
		return violation("a reserved bit is set")
	case (second&0x80 != 0) != f.masked:
		return violation("a client masks its frames, and a server does not")
	case opcode == opContinuation && !f.begun:
		return violation("a continuation of no message")
	case (opcode == opText || opcode == opBinary) && f.begun:
		return violation("a message begins within another")
	case opcode > opBinary && opcode < opClose, opcode > opPong:
		return violation(fmt.Sprintf("opcode %d", opcode))
	case opcode >= opClose && !final:
		return violation("a control frame in fragments")
	case opcode >= opClose && second&0x7f > maxControl:
		return violation("a control frame of more than 125 bytes")
	}
	return nil
}

// length returns the length of a payload, given the seven bits in the second byte. A longer
// encoding than necessary is tolerated.
func (f *frameReader) length(short uint64) (uint64, error) {
	switch short {
	case 126:
		b, err := f.take(2)
		if err != nil {
			return 0, err
		}
		return uint64(binary.BigEndian.Uint16(b)), nil
	case 127:
		b, err := f.take(8)
		if err != nil {
			return 0, err
		}
		n := binary.BigEndian.Uint64(b)
		if n>>63 != 0 {
			return 0, violation("a length of more than 63 bits")
		}
		return n, nil
	default:
		return short, nil
	}
}

// control reads and handles a control frame's payload.
func (f *frameReader) control(opcode byte, length int) error {
	b, err := f.take(length)
	if err != nil {
		return err
	}
	var own [maxControl]byte
	payload := own[:copy(own[:], b)]
	if f.masked {
		mask(payload, f.key)
	}
	switch opcode {
	case opPing:
		f.pinged(string(payload))
	case opClose:
		return closed(payload)
	}
	return nil
}

// closed returns the error for the payload of a Close frame: no byte, or a code of two bytes
// and a text (RFC 6455, 5.5.1 and 7.4).
func closed(payload []byte) error {
	switch len(payload) {
	case 0:
		return &websocket.CloseError{Code: websocket.CloseNoStatusReceived}
	case 1:
		return violation("a Close of one byte")
	}
	code, text := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !mayBeSent(code) {
		return violation(fmt.Sprintf("close code %d", code))
	}
	if !utf8.Valid(text) {
		return violation("the text of a Close is not UTF-8")
	}
	return &websocket.CloseError{Code: code, Text: string(text)}
}

// mayBeSent tells whether a Close frame may hold this code (RFC 6455, 7.4, and IANA's
// registry of close codes).
func mayBeSent(code int) bool {
	switch code {
	case 1004, websocket.CloseNoStatusReceived, websocket.CloseAbnormalClosure:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// take returns the next n bytes, until the next read.
func (f *frameReader) take(n int) ([]byte, error) {
	b, err := f.in.Peek(n)
	if err != nil {
		return nil, noEOF(err)
	}
	_, err = f.in.Discard(n)
	return b, err
}

// noEOF turns io.EOF into another error: a WebSocket ends with a Close frame.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("no Close frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}

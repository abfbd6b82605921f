package mse

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// writer writes frames of a WebSocket (RFC 6455, 5.2) to a connection. A picture's frame is made
// once for all viewers, so it does not pass through a websocket.Conn.
type writer struct {
	conn  net.Conn
	stall time.Duration // within which the viewer reads what a write has
	over  atomic.Bool   // after hurry

	mu  sync.Mutex
	err error // of the first write that failed: the connection has half a frame
}

func newWriter(conn net.Conn, stall time.Duration) *writer { return &writer{conn: conn, stall: stall} }

// hurry gives the write in progress, and those that follow, the time for closing alone: the
// viewer ends, and may not read.
func (w *writer) hurry() {
	w.over.Store(true)
	_ = w.conn.SetWriteDeadline(time.Now().Add(closing))
}

// limit sets the time for the next write. mu is held.
func (w *writer) limit() error {
	if w.err == nil {
		w.err = w.conn.SetWriteDeadline(time.Now().Add(w.stall))
	}
	if w.over.Load() && w.err == nil { // asked after the deadline is set, so that hurry's is the last one
		w.err = w.conn.SetWriteDeadline(time.Now().Add(closing))
	}
	return w.err
}

const fin = 0x80

// header returns the header of an unmasked frame of n bytes.
func header(kind, n int) []byte {
	switch {
	case n < 126:
		return []byte{fin | byte(kind), byte(n)} //nolint:gosec // G115: an opcode, and a bounded number
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{fin | byte(kind), 126}, uint16(n)) //nolint:gosec // G115: bounded
	default:
		return binary.BigEndian.AppendUint64([]byte{fin | byte(kind), 127}, uint64(n)) //nolint:gosec // G115: not negative
	}
}

// maxHeader is the greatest size of a header.
const maxHeader = 10

// framed returns what fill appends as one binary frame; nothing if it appends nothing.
func framed(fill func([]byte) []byte) []byte {
	b := fill(make([]byte, maxHeader))
	if len(b) == maxHeader {
		return []byte{}
	}
	head := header(websocket.BinaryMessage, len(b)-maxHeader)
	begin := maxHeader - len(head)
	copy(b[begin:], head)
	return b[begin:]
}

// write writes a whole frame. It allocates nothing.
func (w *writer) write(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.limit(); err != nil {
		return err
	}
	_, w.err = w.conn.Write(frame)
	return w.err
}

// gather writes one frame that lies in several places.
func (w *writer) gather(parts net.Buffers) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.limit(); err != nil {
		return err
	}
	_, w.err = parts.WriteTo(w.conn)
	return w.err
}

// frame writes a frame with a payload.
func (w *writer) frame(kind int, payload []byte) error {
	return w.write(append(header(kind, len(payload)), payload...))
}

// text writes a message as JSON.
func (w *writer) text(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return w.frame(websocket.TextMessage, b)
}

// last writes why the viewer is ended, and the close frame.
func (w *writer) last(f *failure.Failure) {
	b, err := json.Marshal(struct {
		Type    string           `json:"type"`
		Failure *failure.Failure `json:"failure"`
	}{"error", f})
	if err != nil {
		return
	}
	end := websocket.FormatCloseMessage(closeCode(f), string(f.Reason))
	message := append(header(websocket.TextMessage, len(b)), b...)
	_ = w.write(append(append(message, header(websocket.CloseMessage, len(end))...), end...))
}

// closeCode returns the close code of a failure (RFC 6455, 7.4.1).
func closeCode(f *failure.Failure) int {
	switch f.Reason {
	case reason.AccessLogin, reason.AccessExpired, reason.AccessDenied, reason.AccessThrottled, reason.ViewerClosed:
		return websocket.ClosePolicyViolation
	case reason.ShuttingDown:
		return websocket.CloseGoingAway
	case reason.LimitViewers, reason.LimitOpenings, reason.LimitTunnels:
		return websocket.CloseTryAgainLater
	default:
		return websocket.CloseInternalServerErr
	}
}

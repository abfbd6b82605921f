package mse

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// writer writes frames of a WebSocket (RFC 6455, 5.2) to a connection. A picture's frame is made
// once for all viewers, so it does not pass through a websocket.Conn.
type writer struct {
	mu   sync.Mutex
	conn net.Conn
	err  error // of the first write that failed: the connection has half a frame
}

func newWriter(conn net.Conn) *writer { return &writer{conn: conn} }

const fin = 0x80

// header returns the header of an unmasked frame of n bytes.
func header(kind, n int) []byte {
	switch {
	case n < 126:
		return []byte{fin | byte(kind), byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{fin | byte(kind), 126}, uint16(n)) //nolint:gosec // G115: bounded
	default:
		return binary.BigEndian.AppendUint64([]byte{fin | byte(kind), 127}, uint64(n)) //nolint:gosec // G115: not negative
	}
}

// framed returns a binary message as one frame.
func framed(payload []byte) []byte {
	head := header(websocket.BinaryMessage, len(payload))
	return append(append(make([]byte, 0, len(head)+len(payload)), head...), payload...)
}

// write writes whole frames within a time.
func (w *writer) write(limit time.Duration, frames ...[]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.err = w.conn.SetWriteDeadline(time.Now().Add(limit)); w.err != nil {
		return w.err
	}
	if len(frames) == 1 {
		_, w.err = w.conn.Write(frames[0])
		return w.err
	}
	buffers := net.Buffers(frames)
	_, w.err = buffers.WriteTo(w.conn)
	return w.err
}

// frame writes a frame with a payload.
func (w *writer) frame(kind int, payload []byte) error {
	return w.write(stall, append(header(kind, len(payload)), payload...))
}

// text writes a message as JSON.
func (w *writer) text(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return w.frame(websocket.TextMessage, b)
}

// last writes why the viewer is ended, and the close frame. It takes closing at most: the viewer
// may not read.
func (w *writer) last(f *failure.Failure) {
	b, err := json.Marshal(struct {
		Type    string           `json:"type"`
		Failure *failure.Failure `json:"failure"`
	}{"error", f})
	if err != nil {
		return
	}
	end := websocket.FormatCloseMessage(closeCode(f), string(f.Reason))
	_ = w.write(closing, append(header(websocket.TextMessage, len(b)), b...), append(header(websocket.CloseMessage, len(end)), end...))
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

package wsstream

import (
	"errors"
	"net"
	"sync/atomic"
)

// ErrHandshakeSize is the error of a Read beyond a Handshake's limit.
var ErrHandshakeSize = errors.New("the answer to the handshake does not end")

// Handshake is the connection of a client during a WebSocket handshake. Until Complete it
// delivers a limited number of bytes, since gorilla/websocket reads a header of any size.
type Handshake struct {
	net.Conn
	complete atomic.Bool
	left     atomic.Int64
	err      error
}

// NewHandshake limits what conn delivers to so many bytes.
func NewHandshake(conn net.Conn, limit int64) *Handshake {
	h := &Handshake{Conn: conn}
	h.left.Store(limit)
	return h
}

// Read fails with ErrHandshakeSize beyond the limit.
func (h *Handshake) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.complete.Load() {
		return n, err
	}
	if h.left.Add(int64(-n)) < 0 {
		n, err = 0, ErrHandshakeSize
	}
	h.err = err
	return n, err
}

// Complete removes the limit.
func (h *Handshake) Complete() { h.complete.Store(true) }

// Err is the error of the last Read before Complete. It must not run at the same time as
// such a Read.
func (h *Handshake) Err() error { return h.err }

// NetConn returns the connection below.
func (h *Handshake) NetConn() net.Conn { return h.Conn }

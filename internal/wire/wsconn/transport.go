package wsconn

import (
	"net"
	"sync/atomic"
	"time"
)

// transport is the connection under a WebSocket, as gorilla sees it: once the
// handshake is over gorilla only reads. What it would write by itself, such as a
// Close after bytes that are no WebSocket's, and the deadlines that it would set for
// that on a connection that others write to, go nowhere: Conn says all that itself.
type transport struct {
	net.Conn
	cork *cork       // under TLS; nil if there is none
	open atomic.Bool // the handshake is over

	received atomic.Int64
	reading  atomic.Bool // a Read waits
	broke    atomic.Bool // a Read has failed, so that what gorilla says is the connection's error
}

func (t *transport) Read(p []byte) (int, error) {
	t.reading.Store(true)
	n, err := t.Conn.Read(p)
	t.reading.Store(false)
	t.received.Add(int64(n))
	if err != nil {
		t.broke.Store(true)
	}
	return n, err
}

func (t *transport) Write(p []byte) (int, error) {
	if t.open.Load() {
		return len(p), nil
	}
	return t.Conn.Write(p)
}

// SetWriteDeadline is gorilla's way to bound what it writes by itself.
func (t *transport) SetWriteDeadline(at time.Time) error {
	if t.open.Load() {
		return nil
	}
	return t.Conn.SetWriteDeadline(at)
}

// NetConn is the connection underneath.
func (t *transport) NetConn() net.Conn { return t.Conn }

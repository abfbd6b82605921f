package wsconn

import (
	"net"
	"sync/atomic"
	"time"
)

// transport is the connection that gorilla sees under a WebSocket. After the handshake
// gorilla only reads: transport discards what gorilla writes, such as a Close after a
// protocol error, and its write deadlines, which would hit other writers. Conn sends
// these frames itself.
type transport struct {
	net.Conn
	cork *cork       // under TLS; nil without
	open atomic.Bool // the handshake is complete

	received atomic.Int64
	reading  atomic.Bool // a Read is running
	broke    atomic.Bool // a Read has failed: gorilla's error is the connection's
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

// SetWriteDeadline ignores gorilla's deadlines after the handshake.
func (t *transport) SetWriteDeadline(at time.Time) error {
	if t.open.Load() {
		return nil
	}
	return t.Conn.SetWriteDeadline(at)
}

// NetConn returns the wrapped connection.
func (t *transport) NetConn() net.Conn { return t.Conn }

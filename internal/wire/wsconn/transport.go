package wsconn

import (
	"net"
	"sync/atomic"
)

// transport is the connection under a WebSocket, TLS included. It counts what is read.
type transport struct {
	net.Conn
	cork *cork // under TLS; nil without

	received atomic.Int64
	reading  atomic.Bool // a Read is running
}

func (t *transport) Read(p []byte) (int, error) {
	t.reading.Store(true)
	n, err := t.Conn.Read(p)
	t.reading.Store(false)
	t.received.Add(int64(n))
	return n, err
}

// NetConn returns the wrapped connection.
func (t *transport) NetConn() net.Conn { return t.Conn }

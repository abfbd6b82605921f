package wsconn

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"sync/atomic"

	"rtsptunnel/internal/proxy"
)

// maxHandshake is how many bytes a proxy and a server together may send until the
// WebSocket is open, certificates included.
const maxHandshake = 256 << 10

var errHandshakeSize = errors.New("the answer to the handshake does not end")

// handshake is the TCP connection under a WebSocket that is being dialled. It does
// what gorilla's dialer leaves undone: it obeys ctx in every phase, not only while
// it connects, bounds what the far end may send, and asks a proxy itself: gorilla's
// own CONNECT panics on a status line without a reason phrase.
type handshake struct {
	proxy *url.URL // none if nil
	roots *x509.CertPool
	conn  *boundedConn
	stop  func() bool
}

func (h *handshake) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := h.reach(ctx, network, address)
	if err != nil {
		return nil, err
	}
	h.conn = &boundedConn{Conn: conn}
	h.conn.left.Store(maxHandshake)
	h.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return h.conn, nil
}

func (h *handshake) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if h.proxy != nil {
		return proxy.Dial(ctx, h.proxy, address, h.roots)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// over ends the handshake's rules. It tells whether ctx has closed the connection.
func (h *handshake) over() (late bool) {
	if h.conn == nil {
		return false
	}
	h.conn.open.Store(true)
	return !h.stop()
}

// boundedConn lets so many bytes in until it is open.
type boundedConn struct {
	net.Conn
	open atomic.Bool
	left atomic.Int64
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.open.Load() && c.left.Add(int64(-n)) < 0 {
		return 0, errHandshakeSize
	}
	return n, err
}

package wsconn

import "net"

// Reset closes the connection at once, without a Close frame and without what is
// still to be sent: the peer's TCP is told by a reset. It ends a Write or a Close
// that waits for a peer that takes no bytes.
func (c *Conn) Reset() error {
	conn := bottom(c.under)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return conn.Close()
}

// bottom is the connection under all layers: TLS, and what is ours.
func bottom(conn net.Conn) net.Conn {
	for {
		layer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = layer.NetConn()
	}
}

// NetConn is the connection underneath.
func (c *boundedConn) NetConn() net.Conn { return c.Conn }

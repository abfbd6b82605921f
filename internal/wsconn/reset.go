package wsconn

import "net"

// Reset closes the connection at once, without a Close frame and without what is
// still to be sent: the peer's TCP is told by a reset. It ends a Write or a Close
// that waits for a peer that takes no bytes.
func (c *Conn) Reset() error {
	conn := c.ws.NetConn()
	for {
		switch layer := conn.(type) {
		case *net.TCPConn:
			_ = layer.SetLinger(0)
			return layer.Close()
		case interface{ NetConn() net.Conn }: // TLS, and what is ours
			conn = layer.NetConn()
		default:
			return conn.Close()
		}
	}
}

// NetConn is the connection underneath.
func (c *boundedConn) NetConn() net.Conn { return c.Conn }

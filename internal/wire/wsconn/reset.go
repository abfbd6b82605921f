package wsconn

import "net"

// Reset closes the connection immediately with a TCP reset. It sends no Close frame and
// discards unsent bytes. It unblocks a Write or a Close that waits for a peer that does
// not read.
func (c *Conn) Reset() error {
	conn := innermost(c.transport)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return conn.Close()
}

// innermost unwraps all layers, TLS and our own.
func innermost(conn net.Conn) net.Conn {
	for {
		layer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = layer.NetConn()
	}
}

package rtspout

import (
	"net"
	"time"
)

// keepAlive finds a player that is gone within 9 s while the stream is silent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 2}

// tuneSocket prepares a player's connection, and returns the one under TLS.
func tuneSocket(nc net.Conn) net.Conn {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = t.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if ok {
		_ = tcp.SetKeepAliveConfig(keepAlive)
		setTimeouts(tcp)
	}
	return nc
}

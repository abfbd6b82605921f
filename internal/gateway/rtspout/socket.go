package rtspout

import (
	"net"
	"time"
)

// keepAlive finds a player that is gone within 9 s while the stream is silent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 2}

// tuneSocket prepares a player's connection, and returns the one under TLS and WebSocket.
func tuneSocket(nc net.Conn) net.Conn {
	for {
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = outer.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if ok {
		_ = tcp.SetKeepAliveConfig(keepAlive)
		setTimeouts(tcp)
	}
	return nc
}

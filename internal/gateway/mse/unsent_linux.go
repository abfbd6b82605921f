package mse

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// maxUnsent bounds the bytes that the kernel holds for a viewer and has not sent yet. What it
// holds beyond that is late on a slow link, and cannot be left out any more.
const maxUnsent = 128 << 10

// limitUnsent sets the bound. It is best effort: without it, a slow viewer is further behind.
func limitUnsent(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	plain, ok := conn.(interface{ NetConn() net.Conn })
	if ok {
		conn = plain.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}

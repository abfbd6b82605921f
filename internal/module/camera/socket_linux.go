package camera

import (
	"net"

	"golang.org/x/sys/unix"
)

// setUserTimeout makes the kernel end a connection whose camera acknowledges or takes no
// bytes for deadAfter. Keep-alive does not probe while bytes are unacknowledged: without
// this timeout the kernel would retransmit for about 15 minutes.
func setUserTimeout(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
}

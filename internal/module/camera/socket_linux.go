package camera

import (
	"net"

	"golang.org/x/sys/unix"
)

// giveUp makes the kernel end a connection of which the camera acknowledges nothing, or
// takes nothing, for gone: keep-alive alone says nothing while bytes are on their way,
// and then the kernel would go on for a quarter of an hour.
func giveUp(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(gone.Milliseconds()))
	})
}

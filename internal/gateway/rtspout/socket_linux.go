package rtspout

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is the number of unsent bytes that the kernel may buffer. Without it, a slow
// player would get pictures that are older than the stream's lag allows.
const notSent = 128 << 10

// setTimeouts makes the kernel end a connection whose peer acknowledges or takes no bytes
// for the stall time. Keep-alive does not probe while bytes are unacknowledged.
func setTimeouts(tcp *net.TCPConn) {
	var raw syscall.RawConn
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(defaultTimes.stall.Milliseconds()))
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
	})
}

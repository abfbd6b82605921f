package wsconn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is the number of unsent bytes that the kernel may buffer. A ping waits behind
// no more than that.
const notSent = 64 << 10

// tuneSocket prepares the TCP connection under a WebSocket. TCP_USER_TIMEOUT keeps its
// default: it would end a peer that stops reading, which is for Liveness to decide.
func tuneSocket(conn net.Conn) {
	onSocket(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
	})
}

// takeSample reads the kernel's counts. Bytes that arrive between its system calls do not
// matter: evaluate compares samples.
func takeSample(c *Conn) sample {
	s := ownSample(c)
	onSocket(c.transport, func(fd int) {
		queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			return
		}
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.Bytes_acked == 0 { // 0 before Linux 4.2: later kernels count the handshake
			return
		}
		s = sample{
			received: int64(info.Bytes_received), unread: unread > 0, //nolint:gosec // a counter
			acked: int64(info.Bytes_acked), queued: int64(queued), //nolint:gosec // a counter
		}
	})
	return s
}

// hungUp tells whether the TCP connection has ended in both directions: it was reset, the
// peer's host is gone, or Reset has closed it. This side never shuts down one direction.
func hungUp(conn net.Conn) (is bool) {
	open := onSocket(conn, func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
		_, err := unix.Poll(fds, 0)
		is = err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return is || !open
}

// onSocket calls do with the descriptor of conn. It returns false if conn is closed.
func onSocket(conn net.Conn, do func(fd int)) (open bool) {
	socket, ok := innermost(conn).(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { do(int(fd)) }) == nil
}

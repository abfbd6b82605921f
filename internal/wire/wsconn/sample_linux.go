package wsconn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is how many bytes may wait in the kernel before they are sent: a ping has
// no more than that before it.
const notSent = 64 << 10

// tuneSocket prepares the TCP connection under a WebSocket. TCP_USER_TIMEOUT stays
// as the kernel has it: it would end a peer that stops reading, which is Liveness's
// to decide.
func tuneSocket(conn net.Conn) {
	onSocket(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
	})
}

// take asks the kernel. Bytes that it took while the two questions are asked are of
// no matter: see judge.
func take(c *Conn) sample {
	s := ownSample(c)
	onSocket(c.under, func(fd int) {
		queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		if err != nil {
			return
		}
		unread, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil || info.Bytes_acked == 0 { // of before Linux 4.2: the handshake was acknowledged at least
			return
		}
		s = sample{
			received: int64(info.Bytes_received), unread: unread > 0, //nolint:gosec // a counter
			acked: int64(info.Bytes_acked), queued: int64(queued), //nolint:gosec // a counter
		}
	})
	return s
}

// hungUp tells whether the TCP connection has ended both ways, and not by us, who never
// end one alone: it was reset, or its peer's host is gone. Or Reset has closed it.
func hungUp(conn net.Conn) (is bool) {
	open := onSocket(conn, func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
		_, err := unix.Poll(fds, 0)
		is = err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	})
	return is || !open
}

// onSocket tells whether do was called: the connection is open then.
func onSocket(conn net.Conn, do func(fd int)) (open bool) {
	socket, ok := bottom(conn).(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { do(int(fd)) }) == nil
}

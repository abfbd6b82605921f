package relay

import "golang.org/x/sys/unix"

// failed tells whether a socket has a pending error, without consuming it.
func failed(fd uintptr) bool { return events(fd)&unix.POLLERR != 0 }

// hungUp tells whether a connection has ended in both directions.
func hungUp(fd uintptr) bool { return events(fd)&unix.POLLHUP != 0 }

func events(fd uintptr) int16 {
	fds := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
	if _, err := unix.Poll(fds, 0); err != nil {
		return 0
	}
	return fds[0].Revents
}

package relay

import "golang.org/x/sys/unix"

// failed tells whether a socket has an error to tell, and leaves it there.
func failed(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // a descriptor
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLERR != 0
}

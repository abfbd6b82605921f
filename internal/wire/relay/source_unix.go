//go:build unix

package relay

import (
	"errors"
	"os"
	"syscall"
)

// canTry tells that a socket can be read without blocking.
const canTry = true

func readNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EAGAIN):
			return 0, errNothing
		case !errors.Is(err, syscall.EINTR):
			return 0, os.NewSyscallError("read", err)
		}
	}
}

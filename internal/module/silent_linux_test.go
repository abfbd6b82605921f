package module_test

import (
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// silent is a camera that never answers a SYN: a listener whose backlog is full.
func silent(t *testing.T, localPort int) camera {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*syscall.SockaddrInet4).Port
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for range 16 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return camera{"127.0.0.1", port, localPort} // the backlog is full: this is silence
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("a listener with a full backlog still answers")
	return camera{}
}

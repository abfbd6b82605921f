package demo_test

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Another program on one of the two ports: the error names the remedy, the exit code is 1,
// and nothing is left. The demo gives the other port back.
func TestDemo_portTaken(t *testing.T) {
	for taken := range 2 {
		tempDir(t)
		port := neighbours(t)
		busy, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+taken))
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"--once", "--port", strconv.Itoa(port)}, &stdout, &stderr); code != 1 {
			t.Errorf("exit code %d", code)
		}
		if output := stderr.String(); !strings.Contains(output, busy.Addr().String()) || !strings.Contains(output, "--port") {
			t.Errorf("it wrote: %s", output)
		}
		free, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1-taken))
		if err != nil {
			t.Errorf("the free port is still taken: %v", err)
		} else {
			free.Close()
		}
		busy.Close()
	}
}

// neighbours returns a port n. No other process gets n or n+1 before the test ends.
func neighbours(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := reserve(t, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reserve(t, first+1); err == nil {
			return first
		}
	}
	t.Fatal("no two ports side by side")
	return 0
}

// reserve binds a port of loopback, 0 for a free one, until the test ends. The kernel gives
// it to no other process that asks for a free port; a process that asks for this port may
// listen on it, since both sockets allow the reuse of the address and this one does not
// listen.
func reserve(t *testing.T, port int) (int, error) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*syscall.SockaddrInet4).Port, nil
}

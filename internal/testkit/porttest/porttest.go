// Package porttest reserves ports for tests that need an address before, or without, a
// listener. Only tests import it.
package porttest

import (
	"fmt"
	"syscall"
	"testing"
)

// Reserve returns a loopback address, host:port, that belongs to the test until it ends.
// Connections to it are refused as long as the test does not listen there. The system
// gives the port to no other program: a socket is bound to it, but does not listen.
func Reserve(tb testing.TB) string {
	tb.Helper()
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	// net.Listen sets the option, too. Two sockets that have it may share a port of which
	// one listens at most.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	address, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("the socket's name is %v", name)
	}
	return fmt.Sprintf("127.0.0.1:%d", address.Port)
}

package porttest_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"rtsptunnel/internal/testkit/porttest"
)

func TestReserve(t *testing.T) {
	t.Parallel()
	address := porttest.Reserve(t)
	if other := porttest.Reserve(t); other == address {
		t.Errorf("%s is reserved twice", address)
	}
	for range 2 {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial before a listener: %v, want %v", err, syscall.ECONNREFUSED)
		}
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err = net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if second, err := net.Listen("tcp", address); err == nil {
			second.Close()
			t.Error("two listeners at one address")
		}
		ln.Close()
	}
}

package nettest_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"rtsptunnel/internal/testkit/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The address refuses connections and cannot be taken by a listener.
func TestRefused(t *testing.T) {
	address := nettest.Refused(t)
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	if ln, err := net.Listen("tcp", address); err == nil {
		ln.Close()
		t.Error("the address could be taken")
	}
}

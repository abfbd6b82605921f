package health_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/testkit/logtest"
)

// shut shuts down the listener at address without its owner.
func shut(t *testing.T, address string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		fd, err := strconv.Atoi(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		name, err := syscall.Getsockname(fd)
		if at, ok := name.(*syscall.SockaddrInet4); err != nil || !ok || strconv.Itoa(at.Port) != port {
			continue
		}
		if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no such socket")
}

// A broken listener is logged and replaced.
func TestServer_listenerBreaks(t *testing.T) {
	log := logtest.New()
	srv, stop := serve(t, "127.0.0.1:0", log)
	shut(t, served(t, log, 1))
	served(t, log, 2)
	if !srv.Listening() {
		t.Error("served, but not listening")
	}
	if !strings.Contains(log.String(), `"err":"the listener broke"`) && !strings.Contains(log.String(), `"error":"the listener broke"`) {
		t.Errorf("the log does not say why:\n%s", log)
	}
	stop()
}

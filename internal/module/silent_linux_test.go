package module_test

import (
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// silent returns a camera that never answers a SYN: a listener whose backlog is full.
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
			return camera{"127.0.0.1", port, localPort, enough} // the backlog is full
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("a listener with a full backlog still answers")
	return camera{}
}

// A camera that never answers does not delay calls for other cameras.
func TestTunnelOpen_twentyAtOnceOneSilent(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]any{"front": at(cam, 554), "silent": silent(t, 1554)})

	const calls = 20
	begin := time.Now()
	took := make(chan time.Duration, calls)
	var silence time.Duration
	var all sync.WaitGroup
	call := func(port, want int) {
		if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", port)); status != want {
			t.Errorf("port %d: response %d %v", port, status, body)
		}
	}
	all.Go(func() { call(1554, 400); silence = time.Since(begin) })
	for range calls - 1 {
		all.Go(func() { call(554, 200); took <- time.Since(begin) })
	}
	all.Wait()
	close(took)
	for d := range took {
		if d >= silence {
			t.Errorf("a call took %s, the silent camera's %s", d, silence)
		}
	}
	if silence < 4*time.Second {
		t.Errorf("the call for the silent camera took only %s", silence)
	}
	for range calls - 1 {
		far := <-r.tunnels
		far.Close()
	}
}

// Every call that is pending when the module shuts down gets the response 503, since the
// hub connection is closed last.
func TestShutdown_answersPendingCalls(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	s.trust(t, r.ca.CertPEM())
	stop := s.run(t)
	s.desire(t, map[string]camera{"silent": silent(t, 1554)})
	const calls = 8
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 1554)); status != 503 || body["message"] != "Shutting down" {
				t.Errorf("response %d %v", status, body)
			}
		})
	}
	s.log.Await(t, received, calls)
	stop()
	all.Wait()
}

package relay_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"rtsptunnel/internal/wire/relay"
)

// resetting is a connection whose peer resets it on the first write. Reads wait until a
// write has failed and so consumed the socket's error. The failed write returns when
// the relay has passed an end on to the other side.
type resetting struct {
	*net.TCPConn
	peer   *net.TCPConn
	once   sync.Once
	failed chan struct{}
	passed <-chan struct{} // closed when the other side has seen an end
}

func (c *resetting) Write(p []byte) (int, error) {
	c.once.Do(func() {
		_ = c.peer.SetLinger(0)
		_ = c.peer.Close()
	})
	n, err := c.TCPConn.Write(p)
	if err != nil {
		close(c.failed)
		<-c.passed
	}
	return n, err
}

func (c *resetting) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return afterFailure{raw, c.failed}, err
}

type afterFailure struct {
	syscall.RawConn
	failed <-chan struct{}
}

func (r afterFailure) Read(f func(fd uintptr) bool) error {
	<-r.failed
	return r.RawConn.Read(f)
}

// A read reports a reset, even if a write has consumed the socket's error and has not
// returned yet.
func TestRun_resetTakenByAWrite(t *testing.T) {
	near, camera := tcpPair(t)
	remote, cloud := tcpPair(t)
	passed := make(chan struct{})
	over := make(chan relay.Result, 1)
	go func() {
		a := &resetting{TCPConn: near, peer: camera, failed: make(chan struct{}), passed: passed}
		over <- relay.Run(t.Context(), a, remote)
	}()
	if _, err := cloud.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, cloud)
	close(passed)
	cloud.Close()
	if r := <-over; r.First != relay.A || !errors.Is(r.Err, syscall.ECONNRESET) {
		t.Errorf("first end of side %v: %v, want the reset of a", r.First, r.Err)
	}
}

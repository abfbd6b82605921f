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

// resetting is a connection whose peer resets it when the first bytes are written to it.
// It is read when that write has failed, which takes the error away from the reading,
// and the write returns when the relay has told the other side of an end.
type resetting struct {
	*net.TCPConn
	peer   *net.TCPConn
	once   sync.Once
	failed chan struct{}
	told   <-chan struct{}
}

func (c *resetting) Write(p []byte) (int, error) {
	c.once.Do(func() {
		_ = c.peer.SetLinger(0)
		_ = c.peer.Close()
	})
	n, err := c.TCPConn.Write(p)
	if err != nil {
		close(c.failed)
		<-c.told
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

// A reset is a reset, though the write that it hit has taken its error and has not
// returned yet when the reading finds no more bytes.
func TestRun_resetTakenByAWrite(t *testing.T) {
	near, camera := tcpPair(t)
	remote, cloud := tcpPair(t)
	told := make(chan struct{})
	over := make(chan relay.Result, 1)
	go func() {
		a := &resetting{TCPConn: near, peer: camera, failed: make(chan struct{}), told: told}
		over <- relay.Run(t.Context(), a, remote)
	}()
	if _, err := cloud.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, cloud)
	close(told)
	cloud.Close()
	if r := <-over; r.First != relay.A || !errors.Is(r.Err, syscall.ECONNRESET) {
		t.Errorf("the reset of a is an end of %v: %v", r.First, r.Err)
	}
}

package wsconn_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

// Reset unblocks a Write and a Close that wait for a peer that does not read.
func TestReset_unblocksWriteAndClose(t *testing.T) {
	c, f := dial(t)
	progress, written := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				written <- err
				return
			}
			progress <- struct{}{}
		}
	}()
	untilBlocked(t, progress)
	closed := make(chan struct{})
	go func() { defer close(closed); _ = c.Close() }()
	if err := c.Reset(); err != nil {
		t.Error(err)
	}
	if err := <-written; err == nil {
		t.Error("the blocked write succeeded")
	}
	<-closed
	if _, err := io.Copy(io.Discard, f.NetConn()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer read %v, want a reset", err)
	}
}

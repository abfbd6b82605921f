package wsconn_test

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

// A peer that takes no bytes holds up neither a Write nor a Close that are reset.
func TestReset_endsWhatWaits(t *testing.T) {
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
	for blocked := false; !blocked; {
		select {
		case <-progress:
		case <-time.After(300 * time.Millisecond):
			blocked = true
		}
	}
	closed := make(chan struct{})
	go func() { defer close(closed); _ = c.Close() }()
	if err := c.Reset(); err != nil {
		t.Error(err)
	}
	if err := <-written; err == nil {
		t.Error("the write that waited has succeeded")
	}
	<-closed
	if _, err := io.Copy(io.Discard, f.NetConn()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer read %v, want a reset", err)
	}
}

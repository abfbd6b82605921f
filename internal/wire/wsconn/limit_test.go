package wsconn_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"rtsptunnel/internal/wire/wsconn"
)

// A write deadline that has passed since the last Write is none of the pong's: RTSP clients
// set one before each request and leave it.
func TestSetWriteDeadline_leavesPongs(t *testing.T) {
	t.Parallel()
	c, f := dialRaw(t, wsconn.Liveness{Ping: time.Hour})
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, c); ended <- err }()
	const soon = 200 * time.Millisecond
	if err := c.SetWriteDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	passed := time.NewTimer(soon)
	<-passed.C
	r := bufio.NewReader(f)
	if frame := readFrame(t, r); frame.opcode != 0x82 {
		t.Errorf("frame %#x", frame.opcode)
	}
	if _, err := io.WriteString(f, "\x89\x01p"); err != nil {
		t.Fatal(err)
	}
	if frame := readFrame(t, r); frame.opcode != 0x8a || string(frame.payload) != "p" {
		t.Errorf("frame %#x %q, want the pong", frame.opcode, frame.payload)
	}
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("y")); err != nil {
		t.Errorf("a write without a deadline: %v", err)
	}
	c.Close()
	if err := <-ended; err == nil {
		t.Error("the peer ended the connection")
	}
}

// A deadline ends a Write that runs, whether it was set before it or meanwhile.
func TestSetWriteDeadline_endsWrites(t *testing.T) {
	for name, early := range map[string]bool{"before": true, "meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := dialRaw(t, wsconn.Liveness{Ping: time.Hour})
			if early {
				if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			progress, done := flood(c, 10_000)
			<-progress
			if !early {
				if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
			}
			if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write: %v", err)
			}
			c.Close()
		})
	}
}

package tunnel_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/wire/wsconn"
)

// side is one end of a tunnel.
type side interface {
	io.ReadWriter
	CloseWrite() error
}

// blocked opens a tunnel over TLS, and returns its two ends, which are not read.
func blocked(t *testing.T) (s *site, camera *net.TCPConn, remote *wsconn.Conn) {
	t.Helper()
	far, change := overWebSocket(t)
	s = newSite(t, change)
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	camera, remote = accept(t, s.camera).(*net.TCPConn), <-far
	t.Cleanup(func() { remote.Close() })
	return s, camera, remote
}

// The relay does not read a side while the other side takes no bytes. It still detects a
// reset of that side within a second, whatever stallTimeoutSeconds is (60 s here).
func TestTunnel_resetBehindABlockedSide(t *testing.T) {
	t.Run("camera", func(t *testing.T) {
		s, camera, remote := blocked(t)
		fill(t, camera)
		if err := camera.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		camera.Close()
		// The remote end has 5 s to take a Close then.
		s.closes(t, 5*6*time.Second, `"closedBy":"camera"`, `"cause":"reset or lost, while`)
		if _, err := io.Copy(io.Discard, remote); err == nil {
			t.Error("it is a graceful end for the remote end")
		}
	})
	t.Run("remote", func(t *testing.T) {
		s, camera, remote := blocked(t)
		fill(t, remote)
		if err := remote.Reset(); err != nil {
			t.Fatal(err)
		}
		s.closes(t, 5*time.Second, `"closedBy":"remote","reason":"WS_LOST","cause":"WS_LOST: reset or lost, while`)
		if _, err := io.Copy(io.Discard, camera); err != nil {
			t.Errorf("the camera was cut: %v", err)
		}
	})
}

// closes waits for the closing record of a site's one tunnel.
func (s *site) closes(t *testing.T, within time.Duration, parts ...string) {
	t.Helper()
	begin := time.Now()
	s.log.Await(t, `"closedBy"`, 1)
	took := time.Since(begin).Round(time.Millisecond)
	t.Logf("closed after %s", took)
	if took > within {
		t.Errorf("it took %s", took)
	}
	for _, part := range parts {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("no closing record has %s:\n%s", part, s.log)
		}
	}
}

// A graceful end waits until the bytes before it are delivered, however long that takes,
// also if the kernel of the ending side has sent everything.
func TestTunnel_endInOrderBehindABlockedSide(t *testing.T) {
	for _, by := range []string{"camera", "remote"} {
		t.Run(by, func(t *testing.T) {
			s, camera, remote := blocked(t)
			var from, to side = camera, remote
			delivered := func() int64 { return s.Tunnels()[0].BytesUp }
			end := camera.CloseWrite
			if by == "remote" {
				from, to = remote, camera
				delivered = func() int64 { return s.Tunnels()[0].BytesDown }
				end = remote.Close
			}
			sent := fillOneLeg(t, from, delivered)
			if err := end(); err != nil {
				t.Error(err)
			}
			pause(t, 2*time.Second)
			if strings.Contains(s.log.String(), "closedBy") {
				t.Errorf("it has ended:\n%s", s.log)
			}
			got, want := sha256.New(), sha256.New()
			_, _ = io.CopyN(want, rand.NewChaCha8([32]byte{1}), sent)
			n, err := io.Copy(got, to)
			if n != sent || err != nil || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("%d bytes of %d came, %v", n, sent, err)
			}
		})
	}
}

// fillOneLeg writes until the tunnel delivers no more. It stops before from's own buffers
// are full.
func fillOneLeg(t *testing.T, from io.Writer, delivered func() int64) (sent int64) {
	t.Helper()
	stream := rand.NewChaCha8([32]byte{1})
	const ahead = 96 << 10 // one frame, and less than a kernel takes behind it
	for {
		n, err := io.CopyN(struct{ io.Writer }{from}, stream, 16<<10)
		if sent += n; err != nil {
			t.Fatal(err)
		}
		for since := time.Now(); sent-delivered() > ahead; {
			if time.Since(since) > time.Second {
				return sent
			}
			pause(t, time.Millisecond)
		}
	}
}

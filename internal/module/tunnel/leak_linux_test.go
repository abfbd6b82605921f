package tunnel_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// resources are what a process may lose bit by bit.
type resources struct {
	goroutines, descriptors int
	heap                    int64 // bytes that live
}

func measure(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return resources{runtime.NumGoroutine(), descriptors(t), int64(m.HeapAlloc)}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// However tunnels end, nothing of them stays: both ends of each are in this process. There
// are 10,000 of them by make long-test, and 300 elsewhere, where the race detector makes
// each one cost ten times as much.
func TestTunnels_leaveNothing(t *testing.T) {
	// A collected connection closes its descriptor: that must not pass for our doing.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	many := 300
	if os.Getenv(long) != "" {
		many = 10_000
	}
	far, change := overWebSocket(t)
	s := newSite(t, func(o *tunnel.Options) {
		change(o)
		o.Log = zerolog.Nop()
	})
	endings := []func(camera *net.TCPConn, remote *wsconn.Conn){
		func(camera *net.TCPConn, _ *wsconn.Conn) { _ = camera.CloseWrite() },
		func(camera *net.TCPConn, _ *wsconn.Conn) { _ = camera.SetLinger(0); camera.Close() },
		func(_ *net.TCPConn, remote *wsconn.Conn) { _ = remote.CloseWrite() },
		func(_ *net.TCPConn, remote *wsconn.Conn) { _ = remote.Reset() },
		func(*net.TCPConn, *wsconn.Conn) { s.End(all, reason.CameraChanged) },
	}
	run := func(n int) {
		t.Helper()
		for i := range n {
			if err := s.Open(t.Context(), request()); err != nil {
				t.Fatal(err)
			}
			conn, err := s.camera.Accept()
			if err != nil {
				t.Fatal(err)
			}
			camera, remote := conn.(*net.TCPConn), <-far
			for from, to := range map[io.Writer]io.Reader{camera: remote, remote: camera} {
				if _, err := from.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			endings[i%len(endings)](camera, remote)
			// Whichever side it was, the other one hears of it.
			if i%len(endings) < 2 {
				_, _ = io.Copy(io.Discard, remote)
			} else {
				_, _ = io.Copy(io.Discard, camera)
			}
			remote.Close()
			camera.Close()
		}
		for deadline := time.Now().Add(time.Minute); s.Len() > 0; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d tunnels do not end", s.Len())
			}
		}
	}
	const batch = 100
	run(batch)
	before := measure(t)
	for range 10 { // what has ended is not all collected at once
		<-time.After(50 * time.Millisecond)
		before.heap = min(before.heap, measure(t).heap)
	}
	for range many / batch {
		run(batch)
		for deadline := time.Now().Add(time.Minute); descriptors(t) > before.descriptors; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d descriptors before, %d after a batch", before.descriptors, descriptors(t))
			}
		}
		runtime.GC()
	}
	after := measure(t)
	for deadline := time.Now().Add(time.Minute); after.over(before) && time.Now().Before(deadline); after = measure(t) {
		<-time.After(100 * time.Millisecond) // a connection's last goroutine ends after its Close
	}
	t.Logf("%d tunnels: %+v before, %+v after", many, before, after)
	if after.over(before) {
		t.Errorf("%d tunnels left something: %+v before, %+v after", many, before, after)
	}
}

// over tells whether r is more than before, or its heap by more than 1 MiB.
func (r resources) over(before resources) bool {
	return r.goroutines > before.goroutines || r.descriptors > before.descriptors || r.heap > before.heap+1<<20
}

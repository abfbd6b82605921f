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

// resources are what a process may leak.
type resources struct {
	goroutines, descriptors int
	heap                    int64 // live bytes
}

func measure(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC() // the second empties the pools
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

// leaks opens and ends tunnels, whose ends are both in this process.
type leaks struct {
	*site
	far <-chan *wsconn.Conn
}

// endings are the ways to end a tunnel. The camera ends the first two.
var endings = []func(s *site, camera *net.TCPConn, remote *wsconn.Conn){
	func(_ *site, camera *net.TCPConn, _ *wsconn.Conn) { _ = camera.CloseWrite() },
	func(_ *site, camera *net.TCPConn, _ *wsconn.Conn) { _ = camera.SetLinger(0); camera.Close() },
	func(_ *site, _ *net.TCPConn, remote *wsconn.Conn) { _ = remote.CloseWrite() },
	func(_ *site, _ *net.TCPConn, remote *wsconn.Conn) { _ = remote.Reset() },
	func(s *site, _ *net.TCPConn, _ *wsconn.Conn) { s.End(all, reason.CameraChanged) },
}

// one opens a tunnel, sends a byte in each direction, and ends the tunnel by an ending.
func (l *leaks) one(t *testing.T, ending int) {
	t.Helper()
	if err := l.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	conn, err := l.camera.Accept()
	if err != nil {
		t.Fatal(err)
	}
	camera, remote := conn.(*net.TCPConn), <-l.far
	for from, to := range map[io.Writer]io.Reader{camera: remote, remote: camera} {
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	endings[ending](l.site, camera, remote)
	if ending < 2 { // the other side ends too
		_, _ = io.Copy(io.Discard, remote)
	} else {
		_, _ = io.Copy(io.Discard, camera)
	}
	remote.Close()
	camera.Close()
}

// batch opens and ends n tunnels, and waits until the Set is empty.
func (l *leaks) batch(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		l.one(t, i%len(endings))
	}
	for deadline := time.Now().Add(time.Minute); l.Len() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d tunnels do not end", l.Len())
		}
	}
}

// Tunnels leave nothing behind, however they end. make long-test opens 10,000 of them.
// Elsewhere it is 300: with the race detector each one takes ten times as long.
func TestTunnels_leaveNothing(t *testing.T) {
	// The garbage collector closes the descriptors of lost connections: it is off here.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	many := 300
	if os.Getenv(long) != "" {
		many = 10_000
	}
	far, change := overWebSocket(t)
	l := &leaks{far: far, site: newSite(t, func(o *tunnel.Options) {
		change(o)
		o.Log = zerolog.Nop()
	})}
	const batch = 100
	l.batch(t, batch)
	before := measure(t)
	for range 10 { // the collector does not free everything at once
		pause(t, 50*time.Millisecond)
		before.heap = min(before.heap, measure(t).heap)
	}
	for range many / batch {
		l.batch(t, batch)
		for deadline := time.Now().Add(time.Minute); descriptors(t) > before.descriptors; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("%d descriptors before, %d after a batch", before.descriptors, descriptors(t))
			}
		}
		runtime.GC()
	}
	after := measure(t)
	for deadline := time.Now().Add(time.Minute); after.over(before) && time.Now().Before(deadline); after = measure(t) {
		pause(t, 100*time.Millisecond) // a connection's last goroutine ends after its Close
	}
	t.Logf("%d tunnels: %+v before, %+v after", many, before, after)
	if after.over(before) {
		t.Errorf("%d tunnels left something: %+v before, %+v after", many, before, after)
	}
}

// over tells whether r exceeds before: in the heap by more than 1 MiB.
func (r resources) over(before resources) bool {
	return r.goroutines > before.goroutines || r.descriptors > before.descriptors || r.heap > before.heap+1<<20
}

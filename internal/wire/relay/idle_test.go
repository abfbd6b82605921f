package relay_test

import (
	"io"
	"net"
	"runtime"
	"testing"
)

// An idle relay holds no buffer, also after it has copied bytes.
func TestRun_idleHoldsNoBuffer(t *testing.T) {
	const many = 200
	before := liveHeap()
	var ends []*net.TCPConn
	for range many {
		a, b, result := start(t, t.Context())
		t.Cleanup(func() { a.Close(); b.Close(); wait(t, result) })
		for from, to := range map[*net.TCPConn]*net.TCPConn{a: b, b: a} {
			if _, err := from.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		ends = append(ends, a, b)
	}
	if each := (liveHeap() - before) / many; each > 16<<10 {
		t.Errorf("an idle relay has %d bytes of heap", each)
	}
	runtime.KeepAlive(ends)
}

// liveHeap returns the live heap in bytes; two collections empty the pools.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package fleet_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/fleet"
)

// A discovered camera with two streams costs at most 2 KB of memory and no goroutine, also
// after further reads.
func TestFleet_memory(t *testing.T) {
	const modules, each = 200, 50
	var rows []string
	for m := range modules {
		var cameras []string
		for c := range each {
			cameras = append(cameras, fmt.Sprintf(`"gate-%d-north":{"host":"10.%d.%d.1","localPort":%d,"streams":{"main":{"path":"/Streaming/Channels/%d01"},"sub":{"path":"/Streaming/Channels/%d02"}}}`,
				c, m, c, 8000+c, c, c))
		}
		rows = append(rows, twinRow(fmt.Sprintf("edge-%03d", m), "rtsptunnel", "{"+strings.Join(cameras, ",")+"}"))
	}
	client := hubWith(t, rows...)
	before, goroutines := heap(), runtime.NumGoroutine()
	f := read(t, fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: client, Discover: true}}})
	for range 2 {
		if err := f.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	if n := len(f.Cameras()); n != modules*each {
		t.Fatalf("%d cameras", n)
	}
	bytes := (heap() - before) / (modules * each)
	t.Logf("%d bytes a camera", bytes)
	if bytes > 2048 {
		t.Errorf("%d bytes a camera", bytes)
	}
	if n := runtime.NumGoroutine(); n > goroutines+10 { // connections of client and server
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	runtime.KeepAlive(f)
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

package hubemulator_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkPatch measures one patch of a twin in a hub with 1,000 devices, which runs in
// a process of its own. Each client waits for its response before it sends the next
// patch. Further metrics: patches, writes of state.json and seconds of the hub's CPU, each
// per second, and the 99th percentile of the latency in milliseconds.
func BenchmarkPatch(b *testing.B) {
	const devices = 1000
	p := startProcess(b, newDir(b))
	s := p.service(b)
	for i := range devices {
		if status, body, err := s.create(b.Context(), fmt.Sprintf("d%d", i)); err != nil || status != 200 {
			b.Fatalf("create: %d %s %v", status, body, err)
		}
	}
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			renames := countRenames(b, p.dir)
			cpu := cpuTime(b, p)
			var sent atomic.Int64
			latencies := make([][]time.Duration, clients)
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range clients {
				wg.Go(func() {
					for i := sent.Add(1); i <= int64(b.N); i = sent.Add(1) {
						begin := time.Now()
						path, body := fmt.Sprintf("/twins/d%d", i%devices), fmt.Sprintf(`{"properties":{"desired":{"n":%d}}}`, i)
						if status, answer, err := s.do(b.Context(), http.MethodPatch, path, body); err != nil || status != 200 {
							b.Errorf("patch: %d %s %v", status, answer, err)
							return
						}
						latencies[c] = append(latencies[c], time.Since(begin))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			seconds := b.Elapsed().Seconds()
			all := slices.Concat(latencies...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/seconds, "patches/s")
			b.ReportMetric(float64(renames())/seconds, "writes/s")
			b.ReportMetric((cpuTime(b, p)-cpu).Seconds()/seconds, "cpu")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// cpuTime returns the CPU time that the process has used.
func cpuTime(b *testing.B, p *process) time.Duration {
	b.Helper()
	var used unix.Timespec
	clock := int32(^p.cmd.Process.Pid<<3 | 2) // clock_getcpuclockid(3): the CPU time of all threads
	if err := unix.ClockGettime(clock, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Nano())
}

// countRenames starts to count the renames in dir. The caller calls end once, which
// returns the count.
func countRenames(b *testing.B, dir string) (end func() int) {
	b.Helper()
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_ATTRIB|unix.IN_ONLYDIR); err != nil {
		b.Fatal(err)
	}
	counted := make(chan int)
	go func() {
		count, buffer := 0, make([]byte, 1<<16)
		for {
			n, err := unix.Read(watch, buffer)
			if err != nil || n == 0 {
				counted <- count
				return
			}
			for at := 0; at < n; at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(buffer[at+12:])) {
				if binary.NativeEndian.Uint32(buffer[at+4:])&unix.IN_MOVED_TO == 0 {
					counted <- count
					return
				}
				count++
			}
		}
	}()
	return func() int {
		defer func() { _ = unix.Close(watch) }()
		if err := unix.Chmod(dir, 0o700); err != nil { // an event other than a rename ends the count
			b.Fatal(err)
		}
		return <-counted
	}
}

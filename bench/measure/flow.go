package measure

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"rtsptunnel/bench/ends"
	"rtsptunnel/bench/figures"
)

// This file measures the cost of bytes that flow from cameras to the cloud. The rules are:
// the relay is warm before the window begins; its processor time is read at both ends of
// the window; the bytes that reach the cloud between them are counted.

const (
	chunk = 64 << 10 // bytes of one write of a bulk camera, and of one read

	frameEvery = 40 * time.Millisecond // 25 frames/s
	frameBytes = 20000                 // 4 Mbit/s
	packet     = 1400                  // bytes of one write of a camera with video
)

func (p plan) bulk(tunnels int) func(context.Context, *relayed) (map[string]float64, error) {
	return func(ctx context.Context, r *relayed) (map[string]float64, error) {
		f := &flow{send: func(_ int, camera net.Conn) { sendBulk(camera) }}
		used, err := f.run(ctx, p, r, tunnels)
		if err != nil {
			return nil, err
		}
		return map[string]float64{figures.CPUPerGiB: used.perGiB(), "mb_per_s": float64(used.bytes) / 1e6 / used.wall.Seconds()}, nil
	}
}

// sendBulk writes as fast as it can until the connection is closed.
func sendBulk(camera net.Conn) {
	b := make([]byte, chunk)
	for {
		if _, err := camera.Write(b); err != nil {
			return
		}
	}
}

func (p plan) video(tunnels int) func(context.Context, *relayed) (map[string]float64, error) {
	return func(ctx context.Context, r *relayed) (map[string]float64, error) {
		ctx, end := context.WithCancel(ctx)
		defer end()
		f := &flow{}
		f.send = func(n int, camera net.Conn) {
			offset := frameEvery * time.Duration(n) / time.Duration(tunnels) // cameras are not in step
			f.sendVideo(ctx, camera, time.Now().Truncate(frameEvery).Add(frameEvery+offset))
		}
		used, err := f.run(ctx, p, r, tunnels)
		if err != nil {
			return nil, err
		}
		return map[string]float64{
			figures.CPUPerGiB: used.perGiB(), figures.CPUPercent: 100 * used.cpu.Seconds() / used.wall.Seconds(),
			"late_ms": float64(f.late.Load()) / float64(time.Millisecond),
		}, nil
	}
}

// sendVideo writes a frame as a burst of packets every frameEvery, from due on.
func (f *flow) sendVideo(ctx context.Context, camera net.Conn, due time.Time) {
	b := make([]byte, packet)
	for ; wait(ctx, time.Until(due)) == nil; due = due.Add(frameEvery) {
		for left := frameBytes; left > 0; left -= packet {
			if _, err := camera.Write(b[:min(left, packet)]); err != nil {
				return
			}
		}
		storeMax(&f.late, int64(time.Since(due)))
	}
}

// storeMax sets v to n if n is larger.
func storeMax(v *atomic.Int64, n int64) {
	for {
		old := v.Load()
		if n <= old || v.CompareAndSwap(old, n) {
			return
		}
	}
}

// flow sends from cameras and counts the bytes at the cloud's ends.
type flow struct {
	send  func(n int, camera net.Conn) // until the camera's connection is closed
	bytes atomic.Int64                 // received by the cloud
	late  atomic.Int64                 // ns, the longest delay of a frame after it was due
}

// usage is what one window used.
type usage struct {
	cpu, wall time.Duration
	bytes     int64
}

func (u usage) perGiB() float64 { return u.cpu.Seconds() / (float64(u.bytes) / (1 << 30)) }

// run opens the tunnels, measures one window, and closes them.
func (f *flow) run(ctx context.Context, p plan, r *relayed, count int) (usage, error) {
	tunnels, err := r.open(ctx, count, func(ends.Tunnel) error { return nil })
	var flowing sync.WaitGroup
	defer func() {
		for _, t := range tunnels {
			t.Close()
		}
		flowing.Wait()
	}()
	if err != nil {
		return usage{}, err
	}
	for n, t := range tunnels {
		flowing.Go(func() { f.count(t.Cloud) })
		flowing.Go(func() { f.send(n, t.Camera) })
	}
	if err := wait(ctx, p.warm); err != nil {
		return usage{}, err
	}
	return f.window(ctx, p.window, r)
}

// count reads until the connection ends.
func (f *flow) count(cloud net.Conn) {
	b := make([]byte, chunk)
	for {
		n, err := cloud.Read(b)
		f.bytes.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// window measures for d. If a busy machine delivers no byte in that time, it goes on until
// one has arrived.
func (f *flow) window(ctx context.Context, d time.Duration, r *relayed) (usage, error) {
	f.late.Store(0)
	begin, bytes := time.Now(), f.bytes.Load()
	before, err := r.CPU()
	if err != nil {
		return usage{}, err
	}
	for more := true; more; more = f.bytes.Load() == bytes {
		if err := wait(ctx, d); err != nil {
			return usage{}, fmt.Errorf("%d bytes reached the cloud: %w", f.bytes.Load()-bytes, err)
		}
	}
	after, err := r.CPU()
	if err != nil {
		return usage{}, err
	}
	return usage{cpu: after - before, wall: time.Since(begin), bytes: f.bytes.Load() - bytes}, nil
}

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

// This file measures what it costs while bytes flow from cameras to the cloud. The
// rules are: the relay is warm before the window begins; its processor time is read
// at the window's two ends, and counted are the bytes that came into the cloud
// between them.

const (
	chunk = 64 << 10 // bytes of one write of a camera in a hurry, and of one read

	frameEvery = 40 * time.Millisecond // 25 frames/s
	frameBytes = 20000                 // 4 Mbit/s
	packet     = 1400                  // bytes of one write of a camera with video
)

func (p plan) bulk(tunnels int) func(context.Context, *relayed) (map[string]float64, error) {
	return func(ctx context.Context, r *relayed) (map[string]float64, error) {
		f := &flow{send: func(_ int, camera net.Conn) { hurry(camera) }}
		used, err := f.run(ctx, p, r, tunnels)
		if err != nil {
			return nil, err
		}
		return map[string]float64{figures.CPUPerGiB: used.perGiB(), "mb_per_s": float64(used.bytes) / 1e6 / used.wall.Seconds()}, nil
	}
}

// hurry writes until the connection is closed.
func hurry(camera net.Conn) {
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
			offset := frameEvery * time.Duration(n) / time.Duration(tunnels) // cameras know nothing of each other
			f.paced(ctx, camera, time.Now().Truncate(frameEvery).Add(frameEvery+offset))
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

// paced writes a frame in a burst of packets whenever one is due.
func (f *flow) paced(ctx context.Context, camera net.Conn, due time.Time) {
	b := make([]byte, packet)
	for ; wait(ctx, time.Until(due)) == nil; due = due.Add(frameEvery) {
		for left := frameBytes; left > 0; left -= packet {
			if _, err := camera.Write(b[:min(left, packet)]); err != nil {
				return
			}
		}
		raise(&f.late, int64(time.Since(due)))
	}
}

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for {
		old := v.Load()
		if n <= old || v.CompareAndSwap(old, n) {
			return
		}
	}
}

// flow is cameras that send, and the cloud's ends that count.
type flow struct {
	send  func(n int, camera net.Conn) // until the camera's connection is closed
	bytes atomic.Int64                 // that came into the cloud
	late  atomic.Int64                 // ns, of the frame that was written latest
}

// spent is what a window has cost.
type spent struct {
	cpu, wall time.Duration
	bytes     int64
}

func (s spent) perGiB() float64 { return s.cpu.Seconds() / (float64(s.bytes) / (1 << 30)) }

// run opens the tunnels, lets them flow, and closes them.
func (f *flow) run(ctx context.Context, p plan, r *relayed, count int) (spent, error) {
	tunnels, err := r.open(ctx, count, func(ends.Tunnel) error { return nil })
	var flowing sync.WaitGroup
	defer func() {
		for _, t := range tunnels {
			t.Close()
		}
		flowing.Wait()
	}()
	if err != nil {
		return spent{}, err
	}
	for n, t := range tunnels {
		flowing.Go(func() { f.count(t.Cloud) })
		flowing.Go(func() { f.send(n, t.Camera) })
	}
	if err := wait(ctx, p.warm); err != nil {
		return spent{}, err
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

// window measures for d, and on a machine that is too busy for even one byte in that
// time until one has come.
func (f *flow) window(ctx context.Context, d time.Duration, r *relayed) (spent, error) {
	f.late.Store(0)
	begin, bytes := time.Now(), f.bytes.Load()
	before, err := r.CPU()
	if err != nil {
		return spent{}, err
	}
	for more := true; more; more = f.bytes.Load() == bytes {
		if err := wait(ctx, d); err != nil {
			return spent{}, fmt.Errorf("%d bytes came into the cloud: %w", f.bytes.Load()-bytes, err)
		}
	}
	after, err := r.CPU()
	if err != nil {
		return spent{}, err
	}
	return spent{cpu: after - before, wall: time.Since(begin), bytes: f.bytes.Load() - bytes}, nil
}

package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"rtsptunnel/bench/ends"
	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/relays"
)

const (
	concurrent = 32  // tunnels that are opened at a time
	reserve    = 300 // open files of a process besides those of its tunnels
)

// open opens count tunnels, 32 at a time, and calls use with each. With an error, too, it
// returns the tunnels that are open; the caller closes them.
func (r *relayed) open(ctx context.Context, count int, use func(ends.Tunnel) error) ([]ends.Tunnel, error) {
	todo := make(chan struct{}, count)
	for range count {
		todo <- struct{}{}
	}
	close(todo)
	var mu sync.Mutex
	var tunnels []ends.Tunnel
	var errs []error
	var opening sync.WaitGroup
	for range min(concurrent, count) {
		opening.Go(func() {
			for range todo {
				t, err := r.Open(ctx)
				if err == nil {
					err = use(t)
				}
				mu.Lock()
				if t.Cloud != nil {
					tunnels = append(tunnels, t)
				}
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	opening.Wait()
	if len(errs) > 0 {
		return tunnels, fmt.Errorf("after %d of %d tunnels: %w", len(tunnels), count, errs[0])
	}
	return tunnels, nil
}

// roundTrips measures how long a message takes from the cloud to the camera and back, one
// message at a time.
func (p plan) roundTrips(size int) func(context.Context, *relayed) (map[string]float64, error) {
	return func(ctx context.Context, r *relayed) (map[string]float64, error) {
		t, err := r.Open(ctx)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, t.Close)
		var echoing sync.WaitGroup
		defer echoing.Wait()
		defer t.Close()
		defer stop()
		echoing.Go(func() { _, _ = io.Copy(struct{ io.Writer }{t.Camera}, t.Camera) })
		if _, err := exchange(t, size, time.Now().Add(p.warm), p.exchanges); err != nil {
			return nil, err
		}
		took, err := exchange(t, size, time.Now().Add(p.window), p.exchanges)
		if err != nil {
			return nil, err
		}
		return map[string]float64{
			figures.P50Micros: micros(quantile(took, 0.5)), "p99_us": micros(quantile(took, 0.99)),
		}, nil
	}
}

// exchange makes round trips until the time until, at least one and at most most. It
// returns the duration of each.
func exchange(t ends.Tunnel, size int, until time.Time, most int) ([]time.Duration, error) {
	b := make([]byte, size)
	var took []time.Duration
	for {
		begin := time.Now()
		if _, err := t.Cloud.Write(b); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(t.Cloud, b); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
		if len(took) >= most || time.Now().After(until) {
			return took, nil
		}
	}
}

// open measures opening tunnels one after the other. For a relay that is called through a
// hub, half the time of a refused call is subtracted: that is how long the call takes to
// reach it, and no other relay has such a delay.
func (p plan) open(ctx context.Context, r *relayed) (map[string]float64, error) {
	if _, _, err := p.opened(ctx, r); err != nil { // the first one of a relay does not count
		return nil, err
	}
	var took, delays []time.Duration
	for range p.opens {
		t, delay, err := p.opened(ctx, r)
		if err != nil {
			return nil, err
		}
		took, delays = append(took, t), append(delays, delay)
	}
	off := quantile(delays, 0.5)
	return map[string]float64{
		figures.P50Millis: millis(quantile(took, 0.5) - off), "p99_ms": millis(quantile(took, 0.99) - off), "way_ms": millis(off),
	}, nil
}

// opened opens one tunnel and closes it. It returns how long opening took, and how long
// the call took to reach the relay.
func (p plan) opened(ctx context.Context, r *relayed) (took, delay time.Duration, err error) {
	refused, _, err := r.Refused(ctx)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	t, err := r.Open(ctx)
	if err != nil {
		return 0, 0, err
	}
	t.Close()
	return t.First.Sub(begin), refused / 2, nil
}

// idling opens more and more tunnels, and reads the memory of the relay's process after
// each step. At the first step that the limit of open files forbids, it returns an error
// with the values so far.
func (p plan) idling(ctx context.Context, r *relayed) (map[string]float64, error) {
	values := map[string]float64{}
	limit, err := relays.Descriptors()
	if err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer r.Close() // ends all tunnels, and with them the readers
	var base int64
	open := 0
	for _, step := range p.idle {
		if need := step*max(2, r.descriptors) + reserve; need > limit {
			return values, fmt.Errorf("%d tunnels would need %d %w, ulimit -n allows %d", step, need, errDescriptors, limit)
		}
		if _, err := r.open(ctx, step-open, func(t ends.Tunnel) error { return settle(t, &reading) }); err != nil {
			return values, err
		}
		open = step
		if err := wait(ctx, p.settle); err != nil {
			return values, err
		}
		rss, pss, err := r.Memory()
		if err != nil {
			return values, err
		}
		values[rssKey(step)] = float64(rss) / (1 << 20)
		if step == 0 {
			base = pss
			continue
		}
		values[kibKey(step)] = float64(pss-base) / 1024 / float64(step)
	}
	return values, nil
}

// errDescriptors says that a step needs more open files than the limit allows.
var errDescriptors = errors.New("open files")

// settle carries 200 bytes each way, as the start of an RTSP session does, and then reads
// at the cloud's end, so that pings are answered.
func settle(t ends.Tunnel, reading *sync.WaitGroup) error {
	b := make([]byte, 200)
	for _, direction := range []struct{ from, to io.ReadWriter }{{t.Cloud, t.Camera}, {t.Camera, t.Cloud}} {
		if _, err := direction.from.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(direction.to, b); err != nil {
			return err
		}
	}
	reading.Go(func() { _, _ = io.Copy(io.Discard, t.Cloud) })
	return nil
}

// quantile returns the q quantile of d, which it sorts, or 0 if d is empty.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

package pace_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/wire/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const buffer = 64 << 10

// reader reads from an endless source.
type reader struct {
	pace    *pace.Pace
	bytes   atomic.Int64
	largest int           // read, in bytes
	longest time.Duration // wait, after the first second
}

func (r *reader) run(ctx context.Context) {
	settled := time.Now().Add(time.Second)
	for {
		n := r.pace.MaxRead(buffer)
		reservation := r.pace.Reserve(n)
		r.bytes.Add(int64(n))
		r.largest = max(r.largest, n)
		begin := time.Now()
		reservation.Wait(ctx.Done())
		if begin.After(settled) {
			r.longest = max(r.longest, time.Since(begin))
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// run runs all readers concurrently for d, and returns when all have ended.
func run(t *testing.T, d time.Duration, readers ...*reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range readers {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
}

func limit(bitsPerSecond int64) *pace.Limit {
	var l pace.Limit
	l.Set(bitsPerSecond)
	return &l
}

func many(n int, limits ...*pace.Limit) []*reader {
	readers := make([]*reader, n)
	for i := range readers {
		readers[i] = &reader{pace: pace.New(limits...)}
	}
	return readers
}

func sum(readers []*reader) (bytes int) {
	for _, r := range readers {
		bytes += int(r.bytes.Load())
	}
	return bytes
}

// near fails the test if got differs from want by more than percent.
func near(t *testing.T, what string, got, want, percent int) {
	t.Helper()
	if off := got - want; max(off, -off) > want*percent/100 {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// At any rate, and with any number of readers, the readers together get the rate, each an
// equal share, in small and even reads.
func TestLimit_isSharedEvenly(t *testing.T) {
	const lasts = 20 * time.Second
	for _, c := range []struct {
		bits    int64
		readers int
		read    int           // largest, in bytes, also the first
		wait    time.Duration // at most
	}{
		{8_000, 1, 512, 512 * time.Millisecond},
		{16_000, 2, 512, 512 * time.Millisecond},
		{1_000_000, 1, 6250, 50 * time.Millisecond},
		{10_000_000, 4, 62500, 50 * time.Millisecond},
		{10_000_000, 64, 62500, 50 * time.Millisecond},
		{1_000_000_000, 3, buffer, 50 * time.Millisecond},
		{1, 1, 512, 5000 * time.Second},
	} {
		t.Run(fmt.Sprint(c.bits, c.readers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				readers := many(c.readers, limit(c.bits))
				run(t, lasts, readers...)
				got, want := sum(readers), int(c.bits/8*int64(lasts/time.Second))
				// more by the bucket's size, and by one read of each reader before it waits
				if most := want + max(512, int(c.bits/8/20)) + c.readers*c.read; got < want || got > most {
					t.Errorf("%d bytes, want %d to %d", got, want, most)
				}
				for i, r := range readers {
					if r.largest > c.read || r.longest > c.wait {
						t.Errorf("reader %d: a read of %d, a wait of %s", i, r.largest, r.longest)
					}
					part, mean := int(r.bytes.Load()), got/c.readers // the first starts with a full bucket
					if off := max(part-mean, mean-part); off > mean/10+2*c.read {
						t.Errorf("reader %d: %d bytes, the mean is %d", i, part, mean)
					}
				}
			})
		})
	}
}

// The lowest limit of a reader is effective. What one reader leaves of a shared limit is
// available to the others.
func TestPace_lowestLimitIsEffective(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := limit(8_000_000)
		slow, fast, none := many(2, limit(400_000), all), many(1, limit(2_400_000), all), many(1, limit(0), all)
		run(t, 20*time.Second, slices.Concat(slow, fast, none)...)
		near(t, "slow", sum(slow), 50_000*20, 10)
		near(t, "fast", sum(fast), 300_000*20, 10)
		near(t, "the rest", sum(none), 650_000*20, 10)
		near(t, "all", sum(slow)+sum(fast)+sum(none), 1_000_000*20, 5)
	})
}

// A reader with few bytes does not wait, although others use the whole rate.
func TestLimit_smallReaderDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(8_000_000)
		ctx, cancel := context.WithCancel(t.Context())
		var bulk sync.WaitGroup
		for _, r := range many(64, l) {
			bulk.Go(func() { r.run(ctx) })
		}
		small := pace.New(l)
		var reservation *pace.Reservation
		for range 100 {
			<-time.After(200 * time.Millisecond)
			begin := time.Now()
			reservation.Wait(ctx.Done())
			if took := time.Since(begin); took > 0 {
				t.Fatalf("100 bytes waited for %s", took)
			}
			if n := small.MaxRead(100); n != 100 {
				t.Fatalf("%d of 100 bytes may be read", n)
			}
			reservation = small.Reserve(100)
		}
		cancel()
		bulk.Wait()
	})
}

// A new rate is effective immediately, and releases readers that wait for the old one.
func TestLimit_changes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(8) // a byte a second
		ctx, cancel := context.WithCancel(t.Context())
		readers := many(3, l)
		var all sync.WaitGroup
		for _, r := range readers {
			all.Go(func() { r.run(ctx) })
		}
		carried := func(what string, d time.Duration, want int) {
			t.Helper()
			synctest.Wait()
			before := sum(readers)
			<-time.After(d)
			synctest.Wait()
			near(t, what, sum(readers)-before, want, 15)
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		for _, r := range readers {
			if !r.pace.Waiting() {
				t.Error("a reader does not wait")
			}
		}
		before := sum(readers)
		l.Set(8) // unchanged
		synctest.Wait()
		if got := sum(readers) - before; got > 0 {
			t.Errorf("setting the same rate released %d bytes", got)
		}
		l.Set(8_000_000)
		carried("raised", 10*time.Second, 10_000_000)
		l.Set(80_000)
		carried("lowered", 10*time.Second, 100_000)
		cancel()
		all.Wait()
		l.Set(0)
		if n, r := readers[0].pace.MaxRead(buffer), readers[0].pace.Reserve(buffer); n != buffer || r != nil {
			t.Errorf("switched off: a read of %d, a reservation: %t", n, r != nil)
		}
	})
}

// Bytes that were read without a limit count as one round of a new low rate.
func TestReserve_moreThanTheRateAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := many(1, limit(8_000))[0].pace
		r.Reserve(512).Wait(t.Context().Done())
		begin := time.Now()
		r.Reserve(buffer).Wait(t.Context().Done())
		if took := time.Since(begin); took > time.Second {
			t.Errorf("waited for %s", took)
		}
	})
}

// Wait ends when all of its limits have changed, and when done is closed.
func TestWait_ends(t *testing.T) {
	for name, end := range map[string]func(all, own *pace.Limit, cancel func()){
		"switched off": func(all, own *pace.Limit, _ func()) { all.Set(0); own.Set(0) },
		"raised":       func(all, own *pace.Limit, _ func()) { own.Set(1e9); all.Set(1e9) },
		"cancelled":    func(_, _ *pace.Limit, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all, own := limit(1), limit(1)
				p := pace.New(own, all)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p.Reserve(512)
				reservation := p.Reserve(512)
				begin, done := time.Now(), make(chan struct{})
				go func() { defer close(done); reservation.Wait(ctx.Done()) }()
				synctest.Wait()
				if !p.Waiting() {
					t.Error("Waiting is false during Wait")
				}
				end(all, own, cancel)
				<-done
				if took := time.Since(begin); took > 0 {
					t.Errorf("it took %s", took)
				}
				if p.Waiting() {
					t.Error("Waiting is true after Wait")
				}
			})
		})
	}
}

// Limits that are off allocate nothing.
func TestPace_offAllocatesNothing(t *testing.T) {
	for name, p := range map[string]*pace.Pace{"none": nil, "off": pace.New(limit(0), new(pace.Limit))} {
		if n := testing.AllocsPerRun(100, func() {
			if p.MaxRead(buffer) != buffer {
				t.Error("a limit that is off is effective")
			}
			p.Reserve(buffer).Wait(t.Context().Done())
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkOff(b *testing.B) {
	p := pace.New(new(pace.Limit), new(pace.Limit))
	for b.Loop() {
		p.MaxRead(buffer)
		p.Reserve(buffer).Wait(b.Context().Done())
	}
}

// Limits change while many readers read: for the race detector.
func TestLimit_changesWhileManyRead(t *testing.T) {
	l, own := limit(1_000_000), limit(0)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, r := range many(16, own, l) {
		all.Go(func() {
			for ctx.Err() == nil {
				r.pace.Reserve(r.pace.MaxRead(buffer)).Wait(ctx.Done())
			}
		})
	}
	var setters sync.WaitGroup
	for _, which := range []*pace.Limit{l, l, own} {
		setters.Go(func() {
			for n := range int64(500) {
				which.Set(n % 7 * 1_000_000)
			}
			which.Set(1_000) // all wait until they are canceled
		})
	}
	setters.Wait()
	cancel()
	all.Wait()
}

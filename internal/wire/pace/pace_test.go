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

// reader reads from where there is always more.
type reader struct {
	pace    *pace.Pace
	bytes   atomic.Int64
	largest int           // piece
	longest time.Duration // wait for a turn, once the others are known to be there
}

func (r *reader) run(ctx context.Context) {
	known := time.Now().Add(time.Second)
	for {
		n := r.pace.Piece(buffer)
		turn := r.pace.Spend(n)
		r.bytes.Add(int64(n))
		r.largest = max(r.largest, n)
		begin := time.Now()
		turn.Await(ctx.Done())
		if begin.After(known) {
			r.longest = max(r.longest, time.Since(begin))
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// run lets readers read for so long, all at once, and returns when all have ended.
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

// near fails the test unless got is want, within so many parts in a hundred.
func near(t *testing.T, what string, got, want, percent int) {
	t.Helper()
	if off := got - want; max(off, -off) > want*percent/100 {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// Whatever the rate and however many share it, it is the rate that they get, in pieces
// that come evenly, and each its part.
func TestLimit_isSharedEvenly(t *testing.T) {
	const lasts = 20 * time.Second
	for _, c := range []struct {
		bits    int64
		readers int
		piece   int           // bytes at most, and of the first
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
				// more by what the bucket holds, and by a piece that each has read before it waits
				if most := want + max(512, int(c.bits/8/20)) + c.readers*c.piece; got < want || got > most {
					t.Errorf("%d bytes, want %d to %d", got, want, most)
				}
				for i, r := range readers {
					if r.largest > c.piece || r.longest > c.wait {
						t.Errorf("reader %d: a piece of %d, a wait of %s", i, r.largest, r.longest)
					}
					part, mean := int(r.bytes.Load()), got/c.readers // the first begins with a full bucket
					if off := max(part-mean, mean-part); off > mean/10+2*c.piece {
						t.Errorf("reader %d: %d bytes, they have %d in the mean", i, part, mean)
					}
				}
			})
		})
	}
}

// Each is bound by the lowest of its limits, and what one leaves is another's.
func TestPace_allItsLimitsBind(t *testing.T) {
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

// Who has little to read finds its turn there, however much others have.
func TestLimit_aSmallOneIsNotPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(8_000_000)
		ctx, cancel := context.WithCancel(t.Context())
		var bulk sync.WaitGroup
		for _, r := range many(64, l) {
			bulk.Go(func() { r.run(ctx) })
		}
		small := pace.New(l)
		var turn *pace.Turn
		for range 100 {
			<-time.After(200 * time.Millisecond)
			begin := time.Now()
			turn.Await(ctx.Done())
			if took := time.Since(begin); took > 0 { // it was paid for long since
				t.Fatalf("100 bytes waited for %s", took)
			}
			if n := small.Piece(100); n != 100 {
				t.Fatalf("%d of 100 bytes may be read", n)
			}
			turn = small.Spend(100)
		}
		cancel()
		bulk.Wait()
	})
}

// Another rate holds at once, and lets go those who waited for the one before.
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
		l.Set(8) // nothing new
		synctest.Wait()
		if got := sum(readers) - before; got > 0 {
			t.Errorf("the rate that is in force let go %d bytes", got)
		}
		l.Set(8_000_000)
		carried("raised", 10*time.Second, 10_000_000)
		l.Set(80_000)
		carried("lowered", 10*time.Second, 100_000)
		cancel()
		all.Wait()
		l.Set(0)
		if n, turn := readers[0].pace.Piece(buffer), readers[0].pace.Spend(buffer); n != buffer || turn != nil {
			t.Errorf("switched off: a piece of %d, a turn to wait for: %t", n, turn != nil)
		}
	})
}

// What was read at a high rate, or none, is not waited for at a low one.
func TestSpend_moreThanTheRateAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := many(1, limit(8_000))[0].pace
		r.Spend(512).Await(t.Context().Done())
		begin := time.Now()
		r.Spend(buffer).Await(t.Context().Done())
		if took := time.Since(begin); took > time.Second {
			t.Errorf("waited for %s", took)
		}
	})
}

// A wait ends with a change of any limit that it is for, and with its context.
func TestAwait_ends(t *testing.T) {
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
				p.Spend(512)
				turn := p.Spend(512)
				begin, done := time.Now(), make(chan struct{})
				go func() { defer close(done); turn.Await(ctx.Done()) }()
				synctest.Wait()
				if !p.Waiting() {
					t.Error("nobody waits")
				}
				end(all, own, cancel)
				<-done
				if took := time.Since(begin); took > 0 {
					t.Errorf("it took %s", took)
				}
				if p.Waiting() {
					t.Error("somebody waits")
				}
			})
		})
	}
}

// Limits that are off cost nothing but a look.
func TestPace_offAllocatesNothing(t *testing.T) {
	for name, p := range map[string]*pace.Pace{"none": nil, "off": pace.New(limit(0), new(pace.Limit))} {
		if n := testing.AllocsPerRun(100, func() {
			if p.Piece(buffer) != buffer {
				t.Error("a limit that is off binds")
			}
			p.Spend(buffer).Await(t.Context().Done())
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkOff(b *testing.B) {
	p := pace.New(new(pace.Limit), new(pace.Limit))
	for b.Loop() {
		p.Piece(buffer)
		p.Spend(buffer).Await(b.Context().Done())
	}
}

// Limits change while many read: for the race detector.
func TestLimit_changesWhileManyRead(t *testing.T) {
	l, own := limit(1_000_000), limit(0)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, r := range many(16, own, l) {
		all.Go(func() {
			for ctx.Err() == nil {
				r.pace.Spend(r.pace.Piece(buffer)).Await(ctx.Done())
			}
		})
	}
	var setters sync.WaitGroup
	for _, which := range []*pace.Limit{l, l, own} {
		setters.Go(func() {
			for n := range int64(500) {
				which.Set(n % 7 * 1_000_000)
			}
			which.Set(1_000) // all wait, until they are cancelled
		})
	}
	setters.Wait()
	cancel()
	all.Wait()
}

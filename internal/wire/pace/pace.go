// Package pace limits reading to a bit rate. A [Limit] is one rate, shared by several
// readers. A [Pace] is the set of limits of one reader.
//
// The rules are:
//   - nothing is dropped and nothing is queued: a reader waits before its next read, so
//     that TCP applies backpressure;
//   - bytes are reserved after they were read, in the order of the reads: a reader that
//     reads rarely does not wait, and no reader starves;
//   - one read is so small that all waiting readers proceed within about 50 ms, so that
//     bytes flow evenly at any rate;
//   - a changed limit releases all readers that wait for the old one.
//
// The token buckets are golang.org/x/time/rate's. Code belongs here if it decides how fast
// bytes may flow. The package does not know whose bytes they are or where they go.
package pace

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	round   = 50 * time.Millisecond // within which all readers of a limit proceed
	minRead = 512                   // bytes of one read, however low the rate: fewer would be mostly headers
)

// Limit is a bit rate that several readers share. The zero value is no limit. It is safe
// for concurrent use.
type Limit struct{ inForce atomic.Pointer[bucket] }

// Set changes the rate; 0 removes it. Readers that wait for the old rate read again
// immediately.
func (l *Limit) Set(bitsPerSecond int64) {
	var next *bucket
	switch now := l.inForce.Load(); {
	case bitsPerSecond > 0 && now != nil && now.bits == bitsPerSecond:
		return
	case bitsPerSecond > 0:
		next = newBucket(bitsPerSecond)
	}
	if before := l.inForce.Swap(next); before != nil {
		close(before.replaced)
	}
}

// bucket is one rate while it is in force. It holds the bytes of one round.
type bucket struct {
	bits     int64 // per second
	size     int   // bytes
	tokens   *rate.Limiter
	replaced chan struct{} // closed when another rate is in force
}

func newBucket(bits int64) *bucket {
	bytes := float64(bits) / 8
	size := max(minRead, int(bytes*round.Seconds()))
	return &bucket{bits: bits, size: size, tokens: rate.NewLimiter(rate.Limit(bytes), size), replaced: make(chan struct{})}
}

// maxRead is the number of bytes that may be read at once: half of what is left of the next
// round. So the reads of all readers converge to one size, and together they owe less than
// one round.
func (b *bucket) maxRead() int { return max(minRead, (b.size+int(b.tokens.Tokens()))/2) }

// take counts n bytes and returns when the next may be read. At most one round is counted:
// bytes that were read before the rate was in force may be a minute's worth.
func (b *bucket) take(now time.Time, n int) time.Time {
	return now.Add(b.tokens.ReserveN(now, min(n, b.size)).DelayFrom(now))
}

// wait returns true at that time, or when the rate is replaced. It returns false if done
// is closed before.
func (b *bucket) wait(done <-chan struct{}, until time.Time) bool {
	left := time.Until(until)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.replaced:
	case <-done:
		return false
	}
	return true
}

// Pace is the set of limits of one reader, or of several that belong together. A nil Pace
// has no limit. It is safe for concurrent use.
type Pace struct {
	limits  []*Limit
	waiting atomic.Int32
}

// New returns a Pace with these limits. The lowest of them is effective.
func New(limits ...*Limit) *Pace { return &Pace{limits: limits} }

// MaxRead returns the number of bytes that may be read now, at most most.
func (p *Pace) MaxRead(most int) int {
	if p == nil {
		return most
	}
	for _, l := range p.limits {
		if b := l.inForce.Load(); b != nil {
			most = min(most, b.maxRead())
		}
	}
	return most
}

// Reserve counts n bytes that were read. The reader waits for the Reservation before its
// next MaxRead. It is nil if there is nothing to wait for.
func (p *Pace) Reserve(n int) *Reservation {
	if p == nil {
		return nil
	}
	var r *Reservation
	for _, l := range p.limits {
		b := l.inForce.Load()
		if b == nil {
			continue
		}
		if r == nil {
			r = &Reservation{pace: p}
		}
		r.waits = append(r.waits, wait{b, b.take(time.Now(), n)})
	}
	return r
}

// Waiting tells whether a reader waits for a Reservation.
func (p *Pace) Waiting() bool { return p.waiting.Load() > 0 }

// Reservation holds when a reader may read again.
type Reservation struct {
	pace  *Pace
	waits []wait
}

type wait struct {
	of    *bucket
	until time.Time
}

// Wait returns true when the reader may read, or false if done is closed before. On a nil
// Reservation it returns true immediately.
func (r *Reservation) Wait(done <-chan struct{}) bool {
	if r == nil {
		return true
	}
	r.pace.waiting.Add(1)
	defer r.pace.waiting.Add(-1)
	for _, w := range r.waits {
		if !w.of.wait(done, w.until) {
			return false
		}
	}
	return true
}

// Package pace holds what is read to a bit rate: a [Limit] is shared by all whom it
// binds, a [Pace] is the limits of one of them.
//
// The rules are:
//   - nothing is dropped and nothing is queued: who has read waits before it reads
//     again, so that TCP pushes back;
//   - what was read is paid for afterwards, by whoever read it and in the order of
//     reading: who reads seldom finds its turn there, and nobody is passed over;
//   - a piece is so small that all who wait have their turn in about 50 ms, so that
//     bytes come evenly at any rate;
//   - a limit that changes lets go all whom it made wait.
//
// The buckets are golang.org/x/time/rate's. A line belongs here when it says how fast
// bytes may go. The package does not know whose bytes they are, and where they go.
package pace

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	round = 50 * time.Millisecond // in which all who wait for a limit have their turn
	least = 512                   // bytes of a piece, however low the rate: fewer would be headers above all
)

// Limit is a bit rate that several share. Its zero value is none. It may be used by
// several goroutines.
type Limit struct{ inForce atomic.Pointer[bucket] }

// Set puts another rate in force, or none if it is 0. Who waits for the one before
// reads again at once.
func (l *Limit) Set(bitsPerSecond int64) {
	var next *bucket
	switch now := l.inForce.Load(); {
	case bitsPerSecond > 0 && now != nil && now.bits == bitsPerSecond:
		return
	case bitsPerSecond > 0:
		next = newBucket(bitsPerSecond)
	}
	if before := l.inForce.Swap(next); before != nil {
		close(before.over)
	}
}

// bucket is one rate while it is in force. It holds what the rate brings in a round.
type bucket struct {
	bits   int64
	size   int // bytes
	tokens *rate.Limiter
	over   chan struct{} // closed when another rate is in force
}

func newBucket(bits int64) *bucket {
	bytes := float64(bits) / 8
	size := max(least, int(bytes*round.Seconds()))
	return &bucket{bits: bits, size: size, tokens: rate.NewLimiter(rate.Limit(bytes), size), over: make(chan struct{})}
}

// piece is how many bytes may be read at once: half of what is left of the next round's.
// So all who read find that their pieces grow or shrink to the same, and that together
// they owe less than a round.
func (b *bucket) piece() int { return max(least, (b.size+int(b.tokens.Tokens()))/2) }

// take counts n bytes and says when the next may be read. What was read when the rate
// was not yet in force counts as a piece of it: it may be a minute's worth.
func (b *bucket) take(now time.Time, n int) time.Time {
	return now.Add(b.tokens.ReserveN(now, min(n, b.size)).DelayFrom(now))
}

// wait returns at that time, or when the rate is not in force any more. It is false if
// over was closed before.
func (b *bucket) wait(over <-chan struct{}, until time.Time) bool {
	left := time.Until(until)
	if left <= 0 {
		return true
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.over:
	case <-over:
		return false
	}
	return true
}

// Pace is the limits that bind one reader, or several that belong together. A nil Pace
// is none, and costs nothing; one whose limits are off costs a look at each.
type Pace struct {
	limits  []*Limit
	waiting atomic.Int32
}

// New is a Pace of these limits, all of which bind.
func New(limits ...*Limit) *Pace { return &Pace{limits: limits} }

// Piece is how many bytes may be read now, at most most.
func (p *Pace) Piece(most int) int {
	if p == nil {
		return most
	}
	for _, l := range p.limits {
		if b := l.inForce.Load(); b != nil {
			most = min(most, b.piece())
		}
	}
	return most
}

// Spend counts n bytes that were read. The turn is to be awaited before the next Piece;
// nil if there is nothing to wait for.
func (p *Pace) Spend(n int) *Turn {
	if p == nil {
		return nil
	}
	var turn *Turn
	for _, l := range p.limits {
		b := l.inForce.Load()
		if b == nil {
			continue
		}
		if turn == nil {
			turn = &Turn{pace: p}
		}
		turn.waits = append(turn.waits, wait{b, b.take(time.Now(), n)})
	}
	return turn
}

// Waiting tells whether somebody waits for a turn.
func (p *Pace) Waiting() bool { return p.waiting.Load() > 0 }

// Turn is when a reader may read again.
type Turn struct {
	pace  *Pace
	waits []wait
}

type wait struct {
	of    *bucket
	until time.Time
}

// Await returns true when the turn has come, or false when over is closed before. That
// of a nil Turn has come.
func (t *Turn) Await(over <-chan struct{}) bool {
	if t == nil {
		return true
	}
	t.pace.waiting.Add(1)
	defer t.pace.waiting.Add(-1)
	for _, w := range t.waits {
		if !w.of.wait(over, w.until) {
			return false
		}
	}
	return true
}

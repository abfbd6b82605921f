// Package relay copies bytes between two connections until the tunnel they form
// ends. It is the heart of the data path and knows nothing else: neither who the
// two connections are, nor where a message begins.
//
// The rules are (no byte is lost that can still be delivered):
//   - a side that ends in order (EOF) has everything it sent delivered before the
//     end is passed on, by CloseWrite;
//   - the other direction goes on for [Linger], since that peer may still want to
//     say something; once its bytes cannot be delivered any more they are read and
//     dropped for [Drain], since closing a TCP socket with unread bytes would reset
//     it and could cost the peer bytes that it has not read yet;
//   - any other end that comes first is passed on as what it is, with its cause, so
//     that nobody takes a cut for the whole.
//
// What is read is written before more is read, so that a side that takes no bytes
// holds up the other, and nothing queues; a relay that is held to a rate reads later,
// which is the same to both. Buffers are shared by all relays; a direction holds one
// only while it has bytes, so that an idle relay costs little more than its two
// goroutines.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"rtsptunnel/internal/wire/pace"
)

// How long a relay outlives the end of one of its sides.
const (
	Linger = 5 * time.Second // while the other side's bytes can be delivered
	Drain  = 2 * time.Second // when they can only be read and dropped
)

// Side names one of the two connections of a relay.
type Side int

// The sides, in the order of Run's arguments. Neither: the context ended it.
const (
	Neither Side = iota
	A
	B
)

// Result is how a relay ended.
type Result struct {
	AtoB, BtoA int64 // bytes delivered to the receiving connection
	First      Side  // whose end came first
	Err        error // nil if First ended in order, else the cause
}

// Counts are the bytes that were delivered so far, readable at any time.
type Counts struct{ AtoB, BtoA atomic.Int64 }

// Run is RunCounted for who wants to know the counts at the end alone, at any rate.
func Run(ctx context.Context, a, b net.Conn) Result {
	return RunCounted(ctx, a, b, &Counts{}, nil)
}

// RunCounted copies in both directions until one side ends or ctx is done, then closes
// both connections, a first, and returns when both copies have stopped. Both directions
// together are held to p; nil for as fast as they can. A connection may have the methods
// of [InPlace], [Awaiter], [HalfCloser], [CauseCloser], [ReadErrorer] and [Breakable]:
// they are called. One that is a syscall.Conn, and no Awaiter, is read by its descriptor.
//
// A side that is not read, since the other takes no bytes, is looked after all the same:
// its reset ends the relay within a second (on Linux, if it is a syscall.Conn; anywhere
// if it is Breakable). Its end in order does not: that comes after its bytes.
func RunCounted(ctx context.Context, a, b net.Conn, counts *Counts, p *pace.Pace) Result {
	r := &run{a: a, b: b, pace: p}
	stop := context.AfterFunc(ctx, func() { r.cancel(context.Cause(ctx)) })

	var other sync.WaitGroup
	other.Go(func() { r.copy(a, b, B, &counts.BtoA) })
	r.copy(b, a, A, &counts.AtoB)
	other.Wait()

	stop()
	r.cancel(nil)
	r.closing.Wait()
	return Result{AtoB: counts.AtoB.Load(), BtoA: counts.BtoA.Load(), First: r.first, Err: r.err}
}

// run is one relay's state of ending.
type run struct {
	a, b    net.Conn
	pace    *pace.Pace
	waits   [2]blocked // of the copies from a and from b
	once    sync.Once  // closing is begun
	closing sync.WaitGroup

	mu     sync.Mutex
	over   bool        // the connections are being closed: what the copies say now is our own doing
	first  Side        // whose end came first
	err    error       // how it ended; nil in order
	expiry *time.Timer // ends the relay; set once a side has ended or takes no bytes
	until  time.Time   // when expiry does
	dead   Side        // which side takes no bytes any more
	lost   error       // why dead takes none; nil if it had ended in order

	done chan struct{} // closed once over; nil until somebody waits for its turn
}

// copy delivers from's bytes to to until from ends, and then passes the end on.
func (r *run) copy(to, from net.Conn, side Side, count *atomic.Int64) {
	wait := &r.waits[side-A]
	wait.r, wait.sender = r, side
	err, refused := deliver(to, from, count, wait)
	if refused {
		r.undeliverable(A+B-side, err)
	}
	if refused || errors.Is(err, errOver) { // why it is over says who has ended it
		_, _ = io.Copy(io.Discard, from)
		return
	}
	first, err := r.ended(side, err)
	if !first {
		return
	}
	if err != nil {
		r.cancel(err)
		return
	}
	if half, ok := to.(HalfCloser); !ok || half.CloseWrite() != nil {
		r.cancel(nil)
	}
}

// deliver copies until from ends, with nil if that is in order, or until to refuses
// bytes.
func deliver(to, from net.Conn, count *atomic.Int64, wait *blocked) (err error, refused bool) {
	write, room := to.Write, 0
	if in, ok := to.(InPlace); ok {
		write, room = in.WriteInPlace, in.Headroom()
	}
	src := newSource(from, room, wait.r)
	for {
		buf, n, err := src.next()
		if n > 0 {
			wait.begin()
			took, failed := write(buf[:room+n])
			wait.end()
			buffers.Put(buf)
			count.Add(int64(took))
			if failed != nil {
				return failed, true
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil, false
		case err != nil:
			return err, false
		}
	}
}

// undeliverable says that side does not take bytes any more, and why. Its own copy
// ends soon too and gets Drain to say so. If that says EOF, it depends whose word
// that is: a connection with CloseCause has it from its peer; from TCP it proves
// nothing, since a failed write takes the reset away from the read that follows.
// io.ErrClosedPipe is the one refusal that is an end in order.
func (r *run) undeliverable(side Side, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.dead = side
	if _, told := r.conn(side).(CauseCloser); !told && !errors.Is(err, io.ErrClosedPipe) {
		r.lost = err
	}
	r.expire(Drain, func() { r.broke(side, err) })
}

// broke ends the relay for a side that takes no bytes, or gives none, and has not said
// why.
func (r *run) broke(side Side, err error) {
	if errors.Is(err, io.ErrClosedPipe) {
		err = nil
	}
	_, _ = r.ended(side, err)
	r.cancel(err)
}

// ended records that side came to its end, tells whether it is the first to, and
// how it ended. The other direction has a limited time from then on.
func (r *run) ended(side Side, err error) (first bool, how error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.first != Neither {
		return false, err
	}
	left := Linger
	if r.dead != Neither {
		left = Drain
	}
	if r.dead == side && err == nil {
		err = r.lost
	}
	r.first, r.err = side, err
	r.expire(left, func() { r.cancel(nil) })
	return true, err
}

// expire sets the time after which the relay is ended by end, unless it ends
// earlier already.
func (r *run) expire(d time.Duration, end func()) {
	until := time.Now().Add(d)
	if r.expiry != nil {
		if !until.Before(r.until) {
			return
		}
		r.expiry.Stop()
	}
	r.expiry, r.until = time.AfterFunc(d, end), until
}

func (r *run) conn(side Side) net.Conn {
	if side == A {
		return r.a
	}
	return r.b
}

// cancel closes both connections, unless that was begun, and does not wait for it.
func (r *run) cancel(cause error) {
	r.once.Do(func() { r.closing.Go(func() { r.close(cause) }) })
}

// ending is closed when the connections are being closed. Only relays that are held to a
// bit rate have one: an idle one would be larger by it.
func (r *run) ending() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.over {
			close(r.done)
		}
	}
	return r.done
}

// close closes both connections. An end that a side has brought about itself
// outweighs cause.
func (r *run) close(cause error) {
	r.mu.Lock()
	r.over = true
	if r.done != nil {
		close(r.done)
	}
	if r.first == Neither {
		r.err = cause
	}
	cause = r.err
	if r.expiry != nil {
		r.expiry.Stop()
	}
	r.mu.Unlock()
	for _, c := range []net.Conn{r.a, r.b} {
		if e, ok := c.(CauseCloser); ok {
			_ = e.CloseCause(cause)
			continue
		}
		_ = c.Close()
	}
}

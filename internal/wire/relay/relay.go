// Package relay copies bytes between two connections until the tunnel that they form
// ends. It is the core of the data path. It does not know what the two connections are
// or where a message begins.
//
// The rules are (no byte that can still be delivered is lost):
//   - if a side ends in order (EOF), all its bytes are delivered before the end is passed
//     on with CloseWrite;
//   - the other direction continues for [Linger], since that peer may still send. If its
//     bytes cannot be delivered, they are read and discarded for [Drain]: closing a TCP
//     socket with unread bytes resets it, and the peer can lose bytes by a reset;
//   - any other first end is passed on with its cause, so that neither peer takes a
//     truncated stream for a complete one.
//
// Bytes are written before more are read, so a side that does not read causes
// backpressure on the other, and nothing queues. A relay with a bit rate reads later,
// with the same effect. All relays share a pool of buffers. A direction holds a buffer
// only while it has bytes, so an idle relay needs little more than two goroutines.
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

// How long a relay continues after the end of one of its sides.
const (
	Linger = 5 * time.Second // while the other side's bytes can be delivered
	Drain  = 2 * time.Second // while they can only be read and discarded
)

// Side names one of the two connections of a relay.
type Side int

// The sides, in the order of Run's arguments. Neither means that the context ended the
// relay.
const (
	Neither Side = iota
	A
	B
)

// Result is how a relay ended.
type Result struct {
	AtoB, BtoA int64 // bytes delivered to the receiving connection
	First      Side  // the side that ended first
	Err        error // nil if First ended in order, else the cause
}

// Counts holds the bytes that were delivered so far. It can be read at any time.
type Counts struct{ AtoB, BtoA atomic.Int64 }

// Run is RunCounted without live counters and without a bit rate.
func Run(ctx context.Context, a, b net.Conn) Result {
	return RunCounted(ctx, a, b, &Counts{}, nil)
}

// RunCounted copies in both directions until one side ends or ctx is done. It then closes
// both connections, a first, and returns when both copies have stopped. p limits both
// directions together; nil means no limit.
//
// The optional interfaces of a connection are [InPlace], [Awaiter], [HalfCloser],
// [CauseCloser], [ReadErrorer] and [Breakable]. A connection that is a syscall.Conn, and
// no Awaiter, is read through its descriptor.
//
// While a side does not read, the other side is not read either. A reset of that other
// side still ends the relay within a second: on Linux if it is a syscall.Conn, anywhere
// if it is Breakable. Its end in order does not, since that comes after its bytes.
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

// run is the state of one relay.
type run struct {
	a, b    net.Conn
	pace    *pace.Pace
	stalls  [2]stallWatch // of the copies from a and from b
	once    sync.Once     // guards the start of closing
	closing sync.WaitGroup

	mu       sync.Mutex
	closed   bool        // the connections are being closed: errors of the copies are our own
	first    Side        // the side that ended first
	err      error       // its cause; nil in order
	expiry   *time.Timer // ends the relay; set once a side has ended or refused bytes
	until    time.Time   // when expiry fires
	refusing Side        // the side that refused bytes
	refusal  error       // its error; nil if it had ended in order

	done chan struct{} // closed with closed; nil until a rate-limited copy waits
}

// copy delivers the bytes of from to to until from ends, and then passes the end on.
func (r *run) copy(to, from net.Conn, side Side, count *atomic.Int64) {
	stall := &r.stalls[side-A]
	stall.r, stall.sender = r, side
	err, refused := deliver(to, from, count, stall)
	if refused {
		r.receiverFailed(A+B-side, err)
	}
	if refused || errors.Is(err, errOver) { // the relay has recorded another end, or will
		_, _ = io.Copy(io.Discard, from)
		return
	}
	first, err := r.recordEnd(side, err)
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

// deliver copies until from ends, with a nil error if in order, or until to refuses bytes.
func deliver(to, from net.Conn, count *atomic.Int64, stall *stallWatch) (err error, refused bool) {
	write, room := to.Write, 0
	if in, ok := to.(InPlace); ok {
		write, room = in.WriteInPlace, in.Headroom()
	}
	src := newSource(from, room, stall.r)
	for {
		buf, n, err := src.next()
		if n > 0 {
			stall.begin()
			took, failed := write(buf[:room+n])
			stall.end()
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

// receiverFailed records that side refused bytes with err. The copy from that side ends
// soon as well, and has Drain to report why. If it reports an EOF, that is an end in order
// only for a CauseCloser, whose peer has sent it. On TCP an EOF proves nothing, since a
// failed write consumes the error of a reset. io.ErrClosedPipe is an end in order.
func (r *run) receiverFailed(side Side, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.refusing = side
	if _, ok := r.conn(side).(CauseCloser); !ok && !errors.Is(err, io.ErrClosedPipe) {
		r.refusal = err
	}
	r.setExpiry(Drain, func() { r.fail(side, err) })
}

// fail ends the relay for a side that accepts or sends no bytes and whose copy has not
// reported an end.
func (r *run) fail(side Side, err error) {
	if errors.Is(err, io.ErrClosedPipe) {
		err = nil
	}
	_, _ = r.recordEnd(side, err)
	r.cancel(err)
}

// recordEnd records the end of side. It returns whether side ended first, and the cause,
// nil in order. The other direction has Linger from then on, or Drain.
func (r *run) recordEnd(side Side, err error) (first bool, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.first != Neither {
		return false, err
	}
	left := Linger
	if r.refusing != Neither {
		left = Drain
	}
	if r.refusing == side && err == nil {
		err = r.refusal
	}
	r.first, r.err = side, err
	r.setExpiry(left, func() { r.cancel(nil) })
	return true, err
}

// setExpiry calls end after d, unless an earlier expiry is set. The caller holds mu.
func (r *run) setExpiry(d time.Duration, end func()) {
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

// cancel starts to close both connections, once, and does not wait for it.
func (r *run) cancel(cause error) {
	r.once.Do(func() { r.closing.Go(func() { r.close(cause) }) })
}

// ending returns a channel that is closed when the connections are being closed. It is
// made on demand: an idle relay without a bit rate stays smaller.
func (r *run) ending() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = make(chan struct{})
		if r.closed {
			close(r.done)
		}
	}
	return r.done
}

// close closes both connections. The recorded end of a side takes precedence over cause.
func (r *run) close(cause error) {
	r.mu.Lock()
	r.closed = true
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

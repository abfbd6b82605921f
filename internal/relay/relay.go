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
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
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

// Run copies in both directions until one side ends or ctx is done, then closes
// both connections, a first, and returns when both copies have stopped. A
// connection that has a method CloseCause(error) is closed by it and learns why:
// nil for an end in order, else the error that ended the relay, or ctx's cause.
func Run(ctx context.Context, a, b net.Conn) Result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{a: a, b: b, cancel: cancel}
	closing := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closing)
		r.close(context.Cause(ctx))
	})

	toA, toB := &counter{w: a}, &counter{w: b}
	var copies sync.WaitGroup
	copies.Go(func() { r.copy(toB, a, A) })
	copies.Go(func() { r.copy(toA, b, B) })
	copies.Wait()

	if stop() {
		r.close(nil)
	} else {
		<-closing
	}
	return Result{AtoB: toB.n, BtoA: toA.n, First: r.first, Err: r.err}
}

// run is one relay's state of ending.
type run struct {
	a, b   net.Conn
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	over   bool        // the connections are being closed: what the copies say now is our own doing
	first  Side        // whose end came first
	err    error       // how it ended; nil in order
	expiry *time.Timer // ends the relay; set once a side has ended or takes no bytes
	until  time.Time   // when expiry does
	dead   Side        // which side takes no bytes any more
	lost   error       // why dead takes none; nil if it had ended in order
}

// copy delivers from's bytes to w until from ends, and then passes the end on.
func (r *run) copy(w *counter, from net.Conn, side Side) {
	_, err := io.Copy(w, from)
	if w.failed {
		r.undeliverable(A+B-side, err)
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
	if half, ok := w.w.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		r.cancel(nil)
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
	if _, told := r.conn(side).(causeCloser); !told && !errors.Is(err, io.ErrClosedPipe) {
		r.lost = err
	}
	r.expire(Drain, func() { r.broke(side, err) })
}

// broke ends the relay for a side that takes no bytes and has not said why.
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

// causeCloser is a connection that tells its peer why it is closed, and hears the
// same from it.
type causeCloser interface{ CloseCause(err error) error }

// close closes both connections once. An end that a side has brought about itself
// outweighs cause.
func (r *run) close(cause error) {
	r.mu.Lock()
	r.over = true
	if r.first == Neither {
		r.err = cause
	}
	cause = r.err
	if r.expiry != nil {
		r.expiry.Stop()
	}
	r.mu.Unlock()
	for _, c := range []net.Conn{r.a, r.b} {
		if e, ok := c.(causeCloser); ok {
			_ = e.CloseCause(cause)
			continue
		}
		_ = c.Close()
	}
}

// counter counts the bytes that w took and remembers whether a write failed, which
// io.Copy's error alone does not tell from a failed read. One goroutine writes, and
// reads the fields when it is done.
type counter struct {
	w      net.Conn
	n      int64
	failed bool
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.failed = c.failed || err != nil
	return n, err
}

package relay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/wire/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tcpPair returns the two ends of one TCP connection.
func tcpPair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

// start relays between two TCP connections and returns their far ends.
func start(t *testing.T, ctx context.Context) (a, b *net.TCPConn, result <-chan relay.Result) {
	t.Helper()
	nearA, farA := tcpPair(t)
	nearB, farB := tcpPair(t)
	ch := make(chan relay.Result, 1)
	go func() { ch <- relay.Run(ctx, nearA, nearB) }()
	return farA, farB, ch
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

// wait returns the relay's result. Its timeout only detects a relay that hangs.
func wait(t *testing.T, ch <-chan relay.Result) relay.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute) // also called by Cleanup
	defer cancel()
	select {
	case r := <-ch:
		return r
	case <-ctx.Done():
		t.Fatal("the relay does not end")
		return relay.Result{}
	}
}

func TestRun_isByteExactBothWays(t *testing.T) {
	a, b, result := start(t, t.Context())
	up, down := random(t, 3<<20+1), random(t, 2<<20+7)

	var io4 sync.WaitGroup
	var gotUp, gotDown []byte
	io4.Go(func() { _, _ = a.Write(up); _ = a.CloseWrite() })
	io4.Go(func() { _, _ = b.Write(down); _ = b.CloseWrite() })
	io4.Go(func() { gotUp, _ = io.ReadAll(b) })
	io4.Go(func() { gotDown, _ = io.ReadAll(a) })
	io4.Wait()

	if !bytes.Equal(gotUp, up) || !bytes.Equal(gotDown, down) {
		t.Errorf("received %d and %d bytes that are not the %d and %d sent", len(gotUp), len(gotDown), len(up), len(down))
	}
	r := wait(t, result)
	if r.AtoB != int64(len(up)) || r.BtoA != int64(len(down)) || r.Err != nil {
		t.Errorf("result %+v", r)
	}
}

// A side that has ended in order still receives the other side's bytes.
func TestRun_halfCloseLetsTheOtherSideSend(t *testing.T) {
	a, b, result := start(t, t.Context())
	if _, err := a.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if q, err := io.ReadAll(b); string(q) != "question" || err != nil {
		t.Fatalf("b read %q, %v", q, err)
	}
	if _, err := b.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
		t.Fatalf("a read %q, %v", got, err)
	}
	if r := wait(t, result); r.First != relay.A || r.Err != nil || r.AtoB != 8 || r.BtoA != 6 {
		t.Errorf("result %+v", r)
	}
}

// A reset is reported with its cause, and the other side is closed.
func TestRun_resetIsReported(t *testing.T) {
	a, b, result := start(t, t.Context())
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	a.Close()
	if r := wait(t, result); r.First != relay.A || r.Err == nil {
		t.Errorf("result %+v, want a's reset", r)
	}
	if took := time.Since(begin); took >= relay.Linger {
		t.Errorf("took %s, want no Linger after a reset", took)
	}
	if _, err := io.ReadAll(b); err != nil {
		t.Errorf("b read %v", err)
	}
}

// A reset that a write detects is reported as the end of that side.
func TestRun_resetWhileWriting(t *testing.T) {
	a, b, result := start(t, t.Context())
	if err := b.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	b.Close()
	chunk := random(t, 64<<10)
	for range 10000 { // ends with the reset; bounded in case it never comes
		if _, err := a.Write(chunk); err != nil {
			break
		}
	}
	if r := wait(t, result); r.First != relay.B || r.Err == nil {
		t.Errorf("result %+v, want b's reset", r)
	}
}

func TestRun_contextEndsIt(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, _, result := start(t, ctx)
	cancel(cause)
	if r := wait(t, result); r.First != relay.Neither || !errors.Is(r.Err, cause) {
		t.Errorf("result %+v, want the context's cause", r)
	}
}

// half is one end of a net.Pipe with CloseWrite and CloseCause.
type half struct {
	net.Conn
	closedWrite chan struct{}
	cause       chan error
}

func newHalf(c net.Conn) *half {
	return &half{Conn: c, closedWrite: make(chan struct{}), cause: make(chan error, 1)}
}

func (h *half) CloseWrite() error { close(h.closedWrite); return nil }

func (h *half) CloseCause(err error) error { h.cause <- err; return h.Close() }

// eof is a connection that has ended in order. It discards bytes, or refuses them with an
// error.
type eof struct {
	net.Conn
	refuse error
	closed chan struct{}
}

func (e *eof) Read([]byte) (int, error) { return 0, io.EOF }
func (e *eof) Close() error             { close(e.closed); return nil }
func (e *eof) Write(p []byte) (int, error) {
	if e.refuse != nil {
		return 0, e.refuse
	}
	return len(p), nil
}

// After one side has ended in order, the other has Linger to finish.
func TestRun_lingersAndThenCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		b := newHalf(near)
		begin := time.Now()
		r := relay.Run(t.Context(), &eof{closed: make(chan struct{})}, b)
		if took := time.Since(begin); took != relay.Linger {
			t.Errorf("took %s, want %s", took, relay.Linger)
		}
		<-b.closedWrite
		if cause := <-b.cause; cause != nil || r.Err != nil || r.First != relay.A {
			t.Errorf("cause %v, result %+v, want an end in order", cause, r)
		}
	})
}

// Bytes for a side that has ended and refuses them are read and discarded for Drain.
func TestRun_drainsUndeliverableBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		b := newHalf(near)
		begin := time.Now()
		var writer sync.WaitGroup
		writer.Go(func() {
			defer far.Close()
			for {
				if _, err := far.Write([]byte("late")); err != nil {
					return
				}
				select { // the peer sends until it is closed
				case <-time.After(100 * time.Millisecond):
				case <-t.Context().Done():
					return
				}
			}
		})
		r := relay.Run(t.Context(), &eof{refuse: io.ErrClosedPipe, closed: make(chan struct{})}, b)
		if took := time.Since(begin); took != relay.Drain {
			t.Errorf("took %s, want %s", took, relay.Drain)
		}
		if r.Err != nil || r.First != relay.A || r.BtoA != 0 {
			t.Errorf("result %+v", r)
		}
		writer.Wait()
	})
}

// A side that refuses bytes and never ends is an error, not an end in order.
func TestRun_refusedBytesAreNotAnEndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nearA, farA := net.Pipe()
		nearB, farB := net.Pipe()
		defer farA.Close()
		defer farB.Close()
		refused := errors.New("connection broke")
		a, b := newHalf(nearA), &refuser{Conn: nearB, err: refused}
		go func() { _, _ = farA.Write([]byte("x")) }()
		begin := time.Now()
		r := relay.Run(t.Context(), a, b)
		if took := time.Since(begin); took != relay.Drain {
			t.Errorf("took %s, want %s", took, relay.Drain)
		}
		if !errors.Is(r.Err, refused) || r.First != relay.B {
			t.Errorf("result %+v, want b's refusal", r)
		}
		if cause := <-a.cause; !errors.Is(cause, refused) {
			t.Errorf("the cause for a is %v", cause)
		}
	})
}

// After a failed write, the EOF of a CauseCloser is an end in order: it comes from the
// peer. On TCP the error of the write counts.
func TestRun_refusalAndThenEOF(t *testing.T) {
	for name, closesWithCause := range map[string]bool{"CauseCloser": true, "TCP": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nearA, farA := net.Pipe()
				b := &lateEOF{refuse: errors.New("connection reset"), refused: make(chan struct{}), closed: make(chan struct{})}
				var conn net.Conn = b
				if closesWithCause {
					conn = &causeCloser{b}
				}
				go func() { _, _ = farA.Write([]byte("x")); <-b.refused; farA.Close() }()
				r := relay.Run(t.Context(), nearA, conn)
				if r.First != relay.B || (r.Err == nil) != closesWithCause {
					t.Errorf("result %+v", r)
				}
			})
		})
	}
}

// lateEOF refuses the first write and then returns io.EOF.
type lateEOF struct {
	net.Conn
	refuse  error
	refused chan struct{}
	closed  chan struct{}
}

func (l *lateEOF) Write([]byte) (int, error) {
	defer close(l.refused)
	return 0, l.refuse
}
func (l *lateEOF) Close() error { close(l.closed); return nil }

func (l *lateEOF) Read([]byte) (int, error) {
	<-l.refused
	// The relay must record the refusal first, in another goroutine.
	select {
	case <-l.closed:
	case <-time.After(50 * time.Millisecond):
	}
	return 0, io.EOF
}

// causeCloser is a lateEOF with CloseCause.
type causeCloser struct{ *lateEOF }

func (c *causeCloser) CloseCause(error) error { return c.Close() }

// refuser refuses all bytes.
type refuser struct {
	net.Conn
	err error
}

func (r *refuser) Write([]byte) (int, error) { return 0, r.err }

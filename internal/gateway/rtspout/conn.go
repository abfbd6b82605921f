package rtspout

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rtsptunnel/internal/gateway/failure"
)

// The bytes that one message of a player may have. gortsplib alone would take 800 KB.
const (
	requestBytes = 32 << 10         // before the player has a session
	messageBytes = (64 << 10) + 512 // afterwards: an interleaved frame
)

var (
	errMessageSize = errors.New("the player's message is too long")
	errHTTP        = errors.New("the player speaks HTTP")
)

// conn is a player's connection, as gortsplib sees it. gortsplib reads requests from it and
// writes answers to it; a player's goroutine writes media between the answers.
//
// gortsplib's deadlines are calls that mark the begin of a message: the connection sets its
// own deadlines, because two writers share it, and because players and strangers have
// different time.
type conn struct {
	net.Conn          // TCP, TLS, or Granted
	socket   net.Conn // under TLS and WebSocket
	server   *Server
	opened   time.Time
	remote   *net.TCPAddr
	grant    *Grant // nil if the player logs in by RTSP

	// gortsplib's reading goroutine alone uses them, or the watch while that one waits.
	head    []byte // the first four bytes
	peeked  []byte // what the watch read
	budget  int    // bytes left of the message
	inbound inbound

	stage      atomic.Int32
	attaching  atomic.Bool
	lastHeld   atomic.Int64 // when the player logged in, or held a stream without playing it; UnixNano
	unanswered atomic.Bool  // bytes have arrived since the last answer
	failed     atomic.Bool  // reading failed: there is no peer to answer to
	dead       atomic.Bool  // the kernel got no acknowledgements from the peer

	write       sync.Mutex
	deadline    time.Time // of writes; under write
	hurried     atomic.Bool
	afterAnswer func() // is called after the next answer; gortsplib's goroutine alone

	exchange // the request that is answered now

	closing sync.Once
	gone    chan struct{} // closed when the connection is
	cause   atomic.Pointer[failure.Failure]
	mu      sync.Mutex
	held    *attachment // from a DESCRIBE, for a SETUP
	closed  bool        // nothing is held any more
}

// The stages of a connection, in their order.
const (
	stageStranger int32 = iota // has not authenticated
	stageKnown                 // has authenticated
	stageSession               // has a session
	stagePlaying               // gets media
)

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{Conn: nc, server: s, opened: time.Now(), budget: requestBytes, gone: make(chan struct{})}
	c.remote, _ = nc.RemoteAddr().(*net.TCPAddr)
	if c.remote == nil { // gortsplib requires one
		c.remote = &net.TCPAddr{}
	}
	c.socket = tuneSocket(nc)
	_ = nc.SetReadDeadline(c.opened.Add(c.server.times.request))
	return c
}

// RemoteAddr returns the player's address, which is a *net.TCPAddr.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) from() netip.Addr { return c.remote.AddrPort().Addr().Unmap() }

// reach moves the connection forward to a stage.
func (c *conn) reach(stage int32) {
	for {
		now := c.stage.Load()
		if now >= stage {
			return
		}
		if c.stage.CompareAndSwap(now, stage) {
			if now == stageStranger {
				c.holds()
				c.server.conns.known(c)
			}
			return
		}
	}
}

// SetReadDeadline marks the begin of a message. The time is the connection's own: a player
// that plays has no deadline, because the kernel finds out that it is gone.
func (c *conn) SetReadDeadline(time.Time) error {
	now := time.Now()
	c.budget = messageBytes
	switch c.stage.Load() {
	case stagePlaying:
		return c.Conn.SetReadDeadline(time.Time{})
	case stageSession:
		return c.Conn.SetReadDeadline(now.Add(c.server.times.session))
	case stageKnown:
		return c.Conn.SetReadDeadline(now.Add(c.server.times.request))
	default:
		c.budget = requestBytes
		at := now.Add(c.server.times.request)
		if last := c.opened.Add(c.server.times.login); at.After(last) {
			at = last
		}
		return c.Conn.SetReadDeadline(at)
	}
}

// SetWriteDeadline does nothing: each write has a deadline.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing.
func (c *conn) SetDeadline(time.Time) error { return nil }

// Read is called by gortsplib's reading goroutine. It returns what is not a frame, once the
// player has a session.
func (c *conn) Read(p []byte) (int, error) {
	for {
		n, err := c.read(p)
		if err != nil && !errors.Is(err, errMessageSize) && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.failed.Store(true)
			c.dead.Store(errors.Is(err, syscall.ETIMEDOUT))
		}
		if c.isHTTP(p[:n]) {
			return 0, errHTTP // gortsplib's tunnels over HTTP have no bounds
		}
		kept := c.inbound.filter(p[:n], c.stage.Load() >= stageSession)
		c.budget += n - kept
		if kept > 0 {
			c.unanswered.Store(true)
		}
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// isHTTP reports whether the connection's first four bytes, which end in p, are a method of
// HTTP.
func (c *conn) isHTTP(p []byte) bool {
	if len(c.head) == 4 || len(p) == 0 {
		return false
	}
	c.head = append(c.head, p[:min(len(p), 4-len(c.head))]...)
	c.unanswered.Store(true)
	return bytes.Equal(c.head, []byte("GET ")) || bytes.Equal(c.head, []byte("POST"))
}

func (c *conn) read(p []byte) (int, error) {
	if len(c.peeked) > 0 {
		n := copy(p, c.peeked)
		c.peeked = c.peeked[n:]
		return n, nil
	}
	if c.budget <= 0 {
		return 0, errMessageSize
	}
	n, err := c.Conn.Read(p[:min(len(p), c.budget)])
	c.budget -= n
	return n, err
}

// watch returns a context that ends when the player hangs up, for the time in which
// gortsplib does not read because a request is being answered. The caller calls stop.
func (c *conn) watch(parent context.Context) (ctx context.Context, stop func()) {
	c.attaching.Store(true)
	ctx, cancel := context.WithCancelCause(parent)
	var wg sync.WaitGroup
	_ = c.Conn.SetReadDeadline(time.Time{})
	wg.Go(func() {
		var b [1]byte
		n, err := c.Conn.Read(b[:])
		if n > 0 { // of the next request, for the next Read
			c.peeked = append(c.peeked, b[0])
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.failed.Store(true)
			cancel(errHungUp)
		}
	})
	return ctx, func() {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
		wg.Wait()
		_ = c.SetReadDeadline(time.Time{})
		cancel(nil)
		c.holds()
		c.attaching.Store(false)
	}
}

// holds records that the player may hold a stream, for the hold time.
func (c *conn) holds() { c.lastHeld.Store(time.Now().UnixNano()) }

// isSpare reports whether the player has logged in, and neither plays nor holds a stream.
func (c *conn) isSpare(now time.Time) bool {
	stage := c.stage.Load()
	idle := now.Sub(time.Unix(0, c.lastHeld.Load()))
	return stage != stageStranger && stage != stagePlaying && !c.attaching.Load() && idle > c.server.times.hold
}

var errHungUp = errors.New("the player hung up")

// Write writes an answer.
func (c *conn) Write(p []byte) (int, error) {
	c.write.Lock()
	c.arm(time.Now())
	n, err := c.Conn.Write(p)
	c.unanswered.Store(false)
	c.write.Unlock()

	if after := c.afterAnswer; after != nil {
		c.afterAnswer = nil
		after()
	}
	return n, err
}

// writeMedia writes a report, which may be nil, and an access unit. An error leaves a part
// of them with the player, so the connection has to be closed.
func (c *conn) writeMedia(now time.Time, report, unit []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	c.arm(now)
	if len(report) == 0 {
		_, err := c.Conn.Write(unit)
		return err
	}
	both := net.Buffers{report, unit}
	_, err := both.WriteTo(c.Conn)
	return err
}

// arm sets the deadline of a write, at most once a second: timers cost.
func (c *conn) arm(now time.Time) {
	if c.hurried.Load() {
		return
	}
	stall := c.server.times.stall
	if left := c.deadline.Sub(now); left > stall-min(stall/10, time.Second) && left <= stall {
		return
	}
	c.deadline = now.Add(stall)
	_ = c.Conn.SetWriteDeadline(c.deadline)
}

// hurry bounds all further writes and the one that runs: the connection ends.
func (c *conn) hurry(d time.Duration) {
	c.hurried.Store(true)
	_ = c.Conn.SetWriteDeadline(time.Now().Add(d))
}

// refuse answers a connection that gortsplib does not get, and closes it. A TLS connection
// gets no answer: that would be a handshake first.
func (c *conn) refuse(f *failure.Failure) {
	if _, plain := c.Conn.(*net.TCPConn); plain {
		c.hurry(time.Second)
		_, _ = c.Conn.Write(bareAnswer(f))
	}
	c.endedBy(f)
	_ = c.Close()
}

// drop closes the connection of a stranger at once: neither an answer nor TLS's goodbye may
// delay the caller.
func (c *conn) drop() {
	c.failed.Store(true)
	c.socket.Close()
	_ = c.Close()
}

// Close closes the connection. If a message has arrived that gortsplib could not parse, the
// player gets status 400 first.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		if c.unanswered.Load() && !c.failed.Load() && c.server.ctx.Err() == nil {
			c.answerUnparsed()
		}
		err = c.closeConn()
		c.server.conns.remove(c)
		c.release()
		close(c.gone)
	})
	return err
}

// answerUnparsed writes the last answer. It reads for a short time what the player still
// sends: closing a socket with unread bytes would reset it, and the answer would be lost.
func (c *conn) answerUnparsed() {
	if !c.write.TryLock() {
		return // media are being written
	}
	defer c.write.Unlock()
	until := time.Now().Add(unparsedLinger)
	_ = c.Conn.SetDeadline(until)
	if _, err := c.Conn.Write([]byte("RTSP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n")); err != nil {
		return
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	rest := make([]byte, 4096)
	for n := 0; n < messageBytes; {
		m, err := c.Conn.Read(rest)
		if err != nil {
			return
		}
		n += m
	}
}

const unparsedLinger = 200 * time.Millisecond

// hold keeps the attachment of a DESCRIBE for the connection's SETUP.
func (c *conn) hold(a *attachment) {
	c.mu.Lock()
	old := c.held
	c.held = a
	if c.closed {
		old, c.held = a, nil
	}
	c.mu.Unlock()
	if old != nil {
		old.close()
	}
}

// take returns the attachment that the connection holds for a target, or nil.
func (c *conn) take(t target, p Principal) *attachment {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.held
	if a == nil || a.target.name != t.name || a.principal.Name != p.Name {
		return nil
	}
	c.held = nil
	return a
}

// release closes the attachment that the connection holds, and all that it would hold.
func (c *conn) release() {
	c.mu.Lock()
	c.closed = true
	a := c.held
	c.held = nil
	c.mu.Unlock()
	if a != nil {
		a.close()
	}
}

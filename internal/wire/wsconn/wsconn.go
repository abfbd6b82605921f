// Package wsconn makes a net.Conn of a WebSocket, at both of its ends: [Dial] for
// the edge, [Accept] for the cloud.
//
// The byte stream of a tunnel ignores message boundaries ("Forward the websocket
// bytes to the camera's RTSP server TCP connection"): what is written goes out as
// binary messages of at most 64 KiB, what arrives is read from binary and text
// messages alike. No subprotocol and no compression is offered or accepted, and a
// redirect is never followed.
//
// A line belongs here when it concerns the WebSocket or the way to it (TLS, HTTP
// proxy). The package does not know what a token means, what a camera is, nor
// whether somebody will try again.
package wsconn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

const (
	readBuffer = 1536            // bytes, for what fits into one packet; a read of more goes past it
	closeTime  = 5 * time.Second // to get a Close frame out to a peer that reads slowly
)

// noBuffers keeps gorilla from having a buffer for writing: it writes nothing.
var noBuffers = &sync.Pool{}

// frames are buffers for Write, each of a *[maxFrame]byte.
var frames = sync.Pool{New: func() any { return new([maxFrame]byte) }}

// Conn is a WebSocket as a net.Conn. One goroutine may read and any number may
// write at a time; the Close methods may be called at any time. A Read is needed for
// pings to be answered and for the peer's Close to be noticed.
//
// A peer that closes with 1000 or 1001, or without a code, ends in order: Read then
// returns io.EOF and Write io.ErrClosedPipe. Every other end of the WebSocket is an
// error with reason.RemoteLost; so is one that Liveness brings about.
type Conn struct {
	ws    *websocket.Conn // for reading alone
	under *transport
	out   writer
	alive *liveness

	// Owned by Read.
	message io.Reader // what is left of the current message
	readErr error     // for good

	// wordless: the text of the peer's Close is in no error. The peer was sent a
	// header that is secret, and could write it there.
	wordless bool

	peerClosed atomic.Bool
	closeOnce  sync.Once // the Close frame goes out once
	closeErr   error
}

var _ net.Conn = (*Conn)(nil)

// role is which end of a WebSocket a Conn is.
type role bool

const (
	client role = true
	server role = false
)

func newConn(ws *websocket.Conn, under *transport, end role, limits Liveness) *Conn {
	under.open.Store(true)
	c := &Conn{ws: ws, under: under, out: writer{conn: under.Conn, cork: under.cork, masked: end == client}}
	ws.SetReadLimit(0) // messages are streamed and never collected, so their size is no matter
	ws.SetPingHandler(func(data string) error { c.out.owe(data); return nil })
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(func(code int, _ string) error {
		if inOrder(code) {
			c.peerClosed.Store(true)
		}
		return nil // the owner answers, by closing
	})
	c.alive = watch(c, limits)
	return c
}

// Read reads bytes from the peer's messages, whatever their boundaries.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.Await(); err != nil {
		return 0, err
	}
	n, err := c.message.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.readErr = c.ended(err)
		if n == 0 {
			return 0, c.readErr
		}
	}
	return n, nil
}

// Await waits until a Read has bytes, or an error. It is for who wants to wait
// without a buffer.
func (c *Conn) Await() error {
	for c.readErr == nil {
		if c.message == nil {
			_, r, err := c.ws.NextReader()
			if err != nil {
				c.readErr = c.ended(err)
				break
			}
			c.message = r
		}
		_, err := c.message.Read(nil) // waits for a frame that is not empty
		if err == nil {
			return nil
		}
		c.message = nil
		if !errors.Is(err, io.EOF) {
			c.readErr = c.ended(err)
		}
	}
	return c.readErr
}

// Write sends p as binary messages of less than 64 KiB each. It blocks while the
// peer does not read: that is the tunnel's back-pressure.
func (c *Conn) Write(p []byte) (int, error) {
	buf := frames.Get().(*[maxFrame]byte) //nolint:forcetypeassert // nothing else is put in
	defer frames.Put(buf)
	written := 0
	for len(p) > 0 {
		n := copy(buf[headroom:], p)
		took, err := c.WriteInPlace(buf[:headroom+n])
		written += took
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// Headroom is how many bytes WriteInPlace needs before those that it sends.
func (*Conn) Headroom() int { return headroom }

// WriteInPlace is Write(buf[Headroom():]) without a copy, for a buf of at most
// 64 KiB: all of it is overwritten.
func (c *Conn) WriteInPlace(buf []byte) (int, error) {
	if c.peerClosed.Load() {
		return 0, io.ErrClosedPipe
	}
	n, err := c.out.data(buf)
	if err == nil {
		return n, nil
	}
	if c.peerClosed.Load() {
		return n, io.ErrClosedPipe
	}
	return n, reason.New(reason.RemoteLost, c.alive.because(err))
}

// CloseWrite sends Close with code 1000: all bytes of this side have been sent. The
// peer's bytes can still be read. A WebSocket has no half-close; the peer may
// answer at once.
func (c *Conn) CloseWrite() error { return c.sendClose(websocket.CloseNormalClosure, "") }

// Close is CloseCause(nil).
func (c *Conn) Close() error { return c.CloseCause(nil) }

// CloseCause sends Close, unless one was sent, and closes the connection without
// waiting for the peer. The code tells the peer whether what it has is the whole:
// 1000 for a nil error, 1001 when the module shuts down, 1002 after bytes that are no
// WebSocket's, 1008 when its operator does not want the tunnel any more, else 1011.
func (c *Conn) CloseCause(err error) error {
	c.alive.stop()
	code, text := closeCode(err)
	_ = c.sendClose(code, text) // an end that cannot be said is still an end
	err = c.under.Close()
	c.out.stop()
	c.alive.wait()
	return err
}

// sendClose waits for a frame that is being written, but not longer than closeTime.
func (c *Conn) sendClose(code int, text string) error {
	c.closeOnce.Do(func() { c.closeErr = c.out.close(code, text, closeTime) })
	return c.closeErr
}

// closeCode maps the cause of an end to RFC 6455, 7.4.1. The text is a reason code,
// which says no more to the peer than that.
func closeCode(err error) (code int, text string) {
	if errors.Is(err, errProtocol) {
		return websocket.CloseProtocolError, ""
	}
	why := reason.Of(err)
	return closeCodes[why.Class()], string(why)
}

// closeCodes are the classes' close codes (RFC 6455, 7.4.1).
var closeCodes = map[reason.Class]int{
	reason.InOrder:   websocket.CloseNormalClosure,
	reason.GoingAway: websocket.CloseGoingAway,
	reason.PolicyEnd: websocket.ClosePolicyViolation,
	reason.Failure:   websocket.CloseInternalServerErr,
}

func inOrder(code int) bool {
	return code == websocket.CloseNormalClosure || code == websocket.CloseGoingAway ||
		code == websocket.CloseNoStatusReceived
}

// errProtocol marks what the peer sent and RFC 6455 does not allow.
var errProtocol = errors.New("not a WebSocket's bytes")

// ended turns the peer's Close in order into io.EOF and names every other end. What
// gorilla says of a connection that has not failed is about the bytes on it.
func (c *Conn) ended(err error) error {
	e, told := errors.AsType[*websocket.CloseError](err)
	switch {
	case told && inOrder(e.Code):
		return io.EOF
	case told && c.wordless && e.Code != websocket.CloseAbnormalClosure: // that one is gorilla's own
		err = &websocket.CloseError{Code: e.Code}
	case !told && !c.under.broke.Load():
		err = fmt.Errorf("%w: %w", errProtocol, err)
	default:
		err = c.alive.because(err)
	}
	return reason.New(reason.RemoteLost, err)
}

// errBroken is of a connection that nobody was reading.
var errBroken = errors.New("reset or lost, while it was not read")

// Broken tells why nothing more can come from the peer but what has arrived, as far as
// is known without a Read; nil if it is not. A peer's Close is none, nor is its FIN.
func (c *Conn) Broken() error {
	if !hungUp(c.under) {
		return nil
	}
	return reason.New(reason.RemoteLost, c.alive.because(errBroken))
}

// LocalAddr is the address of the TCP connection's near end.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the address of the TCP connection's far end: the proxy's, if there
// is one between.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read. A deadline that passes ends reading for good.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline bounds Write. A deadline that passes ends writing for good.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.under.Conn.SetWriteDeadline(t) }

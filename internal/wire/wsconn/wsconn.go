// Package wsconn turns a WebSocket into a net.Conn, at both ends: [Dial] for the
// edge, [Accept] for the cloud.
//
// The byte stream of a tunnel ignores message boundaries ("Forward the websocket
// bytes to the camera's RTSP server TCP connection"). Write sends binary messages of
// at most 64 KiB. Read accepts binary and text messages. No subprotocol and no
// compression is offered or accepted, and redirects are not followed.
//
// Code belongs here if it concerns the WebSocket or the connection under it (TLS, HTTP
// proxy). The package does not know what a token means, what a camera is, or whether
// the caller retries.
package wsconn

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

const (
	readBuffer = 1536            // bytes: the content of one packet; larger reads bypass the buffer
	closeTime  = 5 * time.Second // to send a Close frame to a peer that reads slowly
)

// noBuffers keeps gorilla from allocating a write buffer: gorilla does the handshake only.
var noBuffers = &sync.Pool{}

// framePool holds the buffers of Write, each a *[maxFrame]byte.
var framePool = sync.Pool{New: func() any { return new([maxFrame]byte) }}

// Conn is a WebSocket as a net.Conn. One goroutine may read and any number may
// write at a time. The Close methods and Reset may be called at any time. Pings are
// answered, and the peer's Close is noticed, only while a Read or an Await runs. The
// owner closes the Conn, also after an error.
//
// A peer that closes with 1000, with 1001 or without a code ends in order: Read then
// returns io.EOF and Write io.ErrClosedPipe. Every other end is an error with
// reason.RemoteLost, also the end of a peer that Liveness finds dead.
type Conn struct {
	transport *transport
	out       writer
	liveness  *liveness

	// Owned by Read.
	in      frameReader
	readErr error // permanent

	// redact leaves the text of the peer's Close out of errors: the peer received a
	// secret header and could repeat it there.
	redact bool

	peerClosed atomic.Bool
	peerClose  atomic.Pointer[websocket.CloseError] // the peer's Close; nil if none was read
	closeOnce  sync.Once                            // guards the only Close frame
	closeErr   error
}

var _ net.Conn = (*Conn)(nil)

// role is one of the two ends of a WebSocket.
type role bool

const (
	client role = true
	server role = false
)

// newConn returns a WebSocket after its handshake. in reads from under, from the first
// frame on.
func newConn(in *bufio.Reader, under *transport, end role, limits Liveness) *Conn {
	c := &Conn{transport: under, out: writer{conn: under.Conn, cork: under.cork, masked: end == client}}
	c.in = frameReader{in: in, masked: end == server, pinged: c.out.queuePong}
	c.liveness = watch(c, limits)
	return c
}

// Read reads bytes from the peer's messages and ignores message boundaries.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.Await(); err != nil {
		return 0, err
	}
	n, err := c.in.read(p)
	if err != nil {
		c.readErr = c.readError(err)
	}
	return n, c.readErr
}

// Await blocks until Read has bytes or an error to return. A caller that uses it needs
// no buffer while it waits.
func (c *Conn) Await() error {
	if c.readErr != nil {
		return c.readErr
	}
	if err := c.in.await(); err != nil {
		c.readErr = c.readError(err)
	}
	return c.readErr
}

// Write sends p as binary messages of less than 64 KiB each. It blocks while the
// peer does not read: this is the tunnel's backpressure.
func (c *Conn) Write(p []byte) (int, error) {
	buf := framePool.Get().(*[maxFrame]byte) //nolint:forcetypeassert // nothing else is put in
	defer framePool.Put(buf)
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

// Headroom is the number of bytes that WriteInPlace needs before the payload.
func (*Conn) Headroom() int { return headroom }

// WriteInPlace is Write(buf[Headroom():]) without a copy. buf holds at most 64 KiB, and
// all of it is overwritten.
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
	return n, reason.New(reason.RemoteLost, c.liveness.withCause(err))
}

// CloseWrite sends Close with code 1000: this side has sent all its bytes. The peer's
// bytes can still be read. A WebSocket has no half-close, so the peer may close
// immediately.
func (c *Conn) CloseWrite() error { return c.sendClose(websocket.CloseNormalClosure, "") }

// Close is CloseCause(nil).
func (c *Conn) Close() error { return c.CloseCause(nil) }

// CloseCause sends Close, unless one was sent, and closes the connection without
// waiting for the peer's Close. The code tells the peer whether its bytes are complete:
// 1002 if the peer sent bytes that RFC 6455 does not allow, else the code of the class of
// err's reason: 1000 for a nil error, 1001 for reason.GoingAway, 1008 for
// reason.PolicyEnd, 1011 for reason.Failure.
func (c *Conn) CloseCause(err error) error {
	c.liveness.stop()
	code, text := closeCode(err)
	_ = c.sendClose(code, text) // the connection is closed in any case
	err = c.transport.Close()
	c.out.stop()
	c.liveness.wait()
	return err
}

// sendClose waits at most closeTime for a frame that is being written.
func (c *Conn) sendClose(code int, text string) error {
	c.closeOnce.Do(func() { c.closeErr = c.out.close(code, text, closeTime) })
	return c.closeErr
}

// closeCode returns the close code for the cause of an end. The text is the reason code
// alone: the error's own text may hold addresses.
func closeCode(err error) (code int, text string) {
	if errors.Is(err, errProtocol) {
		return websocket.CloseProtocolError, ""
	}
	why := reason.Of(err)
	return closeCodes[why.Class()], string(why)
}

// closeCodes has the close code of each class (RFC 6455, 7.4.1).
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

// readError turns a Close in order into io.EOF and gives every other error its reason.
func (c *Conn) readError(err error) error {
	e, closed := errors.AsType[*websocket.CloseError](err)
	if closed {
		c.peerClose.Store(e)
	}
	switch {
	case closed && inOrder(e.Code):
		c.peerClosed.Store(true)
		return io.EOF
	case closed && c.redact:
		err = &websocket.CloseError{Code: e.Code}
	case !closed && !errors.Is(err, errProtocol):
		err = c.liveness.withCause(err)
	}
	return reason.New(reason.RemoteLost, err)
}

// PeerClose returns the code and the text of the peer's Close, as a Read or an Await
// received it; ok is false before. A Close without a code has the code 1005. The text is
// untrusted, and at most 123 bytes long. It may be called at any time.
func (c *Conn) PeerClose() (code int, text string, ok bool) {
	e := c.peerClose.Load()
	if e == nil {
		return 0, "", false
	}
	return e.Code, e.Text, true
}

// errBroken is the error of a connection that failed while it was not read.
var errBroken = errors.New("reset or lost, while it was not read")

// Broken returns the error of a connection that was reset or lost, without a Read; nil
// if none is known. Bytes that have arrived can still be read. A Close or a FIN of the
// peer is no such error.
func (c *Conn) Broken() error {
	if !hungUp(c.transport) {
		return nil
	}
	return reason.New(reason.RemoteLost, c.liveness.withCause(errBroken))
}

// LocalAddr is the local address of the TCP connection.
func (c *Conn) LocalAddr() net.Addr { return c.transport.LocalAddr() }

// RemoteAddr is the remote address of the TCP connection: the proxy's, if there is one.
func (c *Conn) RemoteAddr() net.Addr { return c.transport.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read. Reading ends permanently when the deadline expires.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.transport.SetReadDeadline(t) }

// SetWriteDeadline bounds Write. Writing ends permanently when the deadline expires in a
// Write; between two of them it has no effect, so that pings are answered.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.limit.set(c.out.conn, t) }

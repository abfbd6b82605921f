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
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/reason"
)

const (
	maxFrame   = 64 << 10        // bytes of payload; larger ones would hold up control frames
	bufferSize = 32 << 10        // bytes, for reading and for writing
	closeTime  = 5 * time.Second // to get a Close frame out to a peer that reads slowly
)

// Conn is a WebSocket as a net.Conn. One goroutine may read and any number may
// write at a time; the Close methods may be called at any time, the write deadline
// only between writes. A Read is needed for pings to be answered and for the peer's
// Close to be noticed.
//
// A peer that closes with 1000 or 1001, or without a code, ends in order: Read then
// returns io.EOF and Write io.ErrClosedPipe. Every other end of the WebSocket is an
// error with reason.RemoteLost.
type Conn struct {
	ws *websocket.Conn

	message io.Reader // owned by Read: what is left of the current message

	wmu  sync.Mutex             // held while a frame is written
	pong atomic.Pointer[string] // the newest ping's data, until its pong is out

	// wordless: the text of the peer's Close is in no error. The peer was sent a
	// header that is secret, and could write it there.
	wordless bool

	peerClosed atomic.Bool
	closeOnce  sync.Once // the Close frame goes out once
	closeErr   error
}

var _ net.Conn = (*Conn)(nil)

func newConn(ws *websocket.Conn) *Conn {
	c := &Conn{ws: ws}
	ws.SetReadLimit(0) // messages are streamed and never collected, so their size is no matter
	ws.SetPingHandler(c.owePong)
	ws.SetPongHandler(func(string) error { return nil })
	ws.SetCloseHandler(func(code int, _ string) error {
		if inOrder(code) {
			c.peerClosed.Store(true)
		}
		return nil // the owner answers, by closing
	})
	return c
}

// Read reads bytes from the peer's messages, whatever their boundaries.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if c.message == nil {
			_, r, err := c.ws.NextReader()
			if err != nil {
				return 0, c.ended(err)
			}
			c.message = r
		}
		n, err := c.message.Read(p)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, c.ended(err)
		}
	}
}

// Write sends p as binary messages of at most 64 KiB each. It blocks while the peer
// does not read: that is the tunnel's back-pressure.
func (c *Conn) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		frame := p[:min(len(p), maxFrame)]
		if err := c.writeFrame(frame); err != nil {
			if c.peerClosed.Load() {
				return written, io.ErrClosedPipe
			}
			return written, reason.New(reason.RemoteLost, err)
		}
		written += len(frame)
		p = p[len(frame):]
	}
	return written, nil
}

func (c *Conn) writeFrame(frame []byte) error {
	c.wmu.Lock()
	defer c.flushPong()
	defer c.wmu.Unlock()
	if c.peerClosed.Load() {
		return io.ErrClosedPipe
	}
	return c.ws.WriteMessage(websocket.BinaryMessage, frame)
}

// owePong answers a ping. It does not wait for a writer that is blocked, since it
// is called by the reader: then the pong, the newest alone, goes out right after
// the frame that is being written. It can wait for the peer when nobody writes and
// the send buffer is full, which takes a peer that pings and does not read.
func (c *Conn) owePong(data string) error {
	c.pong.Store(&data)
	c.flushPong()
	return nil // a connection that is broken says so to Read and Write
}

// flushPong sends the pong that is owed, if nobody is writing; a writer calls it
// when its frame is out. There is no deadline: one that passes would end a TLS
// connection for good (crypto/tls, Conn.SetWriteDeadline).
func (c *Conn) flushPong() {
	for c.pong.Load() != nil {
		if !c.wmu.TryLock() {
			return
		}
		if data := c.pong.Swap(nil); data != nil {
			_ = c.ws.WriteControl(websocket.PongMessage, []byte(*data), time.Time{})
		}
		c.wmu.Unlock()
	}
}

// CloseWrite sends Close with code 1000: all bytes of this side have been sent. The
// peer's bytes can still be read. A WebSocket has no half-close; the peer may
// answer at once.
func (c *Conn) CloseWrite() error { return c.sendClose(websocket.CloseNormalClosure, "") }

// Close is CloseCause(nil).
func (c *Conn) Close() error { return c.CloseCause(nil) }

// CloseCause sends Close, unless one was sent, and closes the connection without
// waiting for the peer. The code tells the peer whether what it has is the whole:
// 1000 for a nil error, 1001 when the module shuts down, 1008 when its operator does
// not want the tunnel any more, else 1011.
func (c *Conn) CloseCause(err error) error {
	code, text := closeCode(err)
	_ = c.sendClose(code, text) // an end that cannot be said is still an end
	return c.ws.Close()
}

// sendClose waits for a frame that is being written, but not longer than closeTime.
// Here a deadline is right: the connection is at its end.
func (c *Conn) sendClose(code int, text string) error {
	c.closeOnce.Do(func() {
		deadline := time.Now().Add(closeTime)
		c.closeErr = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), deadline)
	})
	return c.closeErr
}

// closeCode maps the cause of an end to RFC 6455, 7.4.1. The text is a reason code,
// which says no more to the peer than that.
func closeCode(err error) (code int, text string) {
	switch why := reason.Of(err); why {
	case "":
		return websocket.CloseNormalClosure, ""
	case reason.ShuttingDown:
		return websocket.CloseGoingAway, string(why)
	case reason.Disabled, reason.PolicyRemote, reason.CameraRemoved, reason.CameraChanged, reason.CameraDisabled:
		return websocket.ClosePolicyViolation, string(why)
	default:
		return websocket.CloseInternalServerErr, string(why)
	}
}

func inOrder(code int) bool {
	return code == websocket.CloseNormalClosure || code == websocket.CloseGoingAway ||
		code == websocket.CloseNoStatusReceived
}

// ended turns the peer's Close in order into io.EOF and names every other end.
func (c *Conn) ended(err error) error {
	if err == nil {
		return nil
	}
	e, told := errors.AsType[*websocket.CloseError](err)
	switch {
	case told && inOrder(e.Code):
		return io.EOF
	case told && c.wordless && e.Code != websocket.CloseAbnormalClosure: // that one is gorilla's own
		err = &websocket.CloseError{Code: e.Code}
	}
	return reason.New(reason.RemoteLost, err)
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

// SetWriteDeadline bounds the Writes after it; it does not wake one that runs, and
// must not be called while one does. A deadline that passes ends writing for good.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.ws.SetWriteDeadline(t) }

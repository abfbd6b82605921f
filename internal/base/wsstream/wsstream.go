// Package wsstream is a WebSocket as a stream of bytes, as MQTT (MQTT 3.1.1, section 6) and
// RTSP in browsers use it: [Conn] is a net.Conn whose bytes are those of the binary messages, one after
// the other. A message may hold several packets or a part of one.
//
// Both ends use it, on an open WebSocket: the module as the client of a hub, the hub
// emulator and the gateway as servers. The handshake is theirs; [Handshake] limits how much a server may
// send before it is complete, for any client.
package wsstream

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// errNotBinary ends a connection (MQTT 3.1.1, MQTT-6.0.0-1).
var errNotBinary = errors.New("text message on a WebSocket of bytes")

// Options are the settings of a Conn.
type Options struct {
	// MaxMessage is the size of the largest message that is read, in bytes; no limit if 0.
	// Messages are streamed, so this does not bound memory.
	MaxMessage int64
	// PongTimeout bounds the writing of a pong. If 0, the write deadline does.
	PongTimeout time.Duration
	// CloseTimeout bounds the writing of a Close frame. Required.
	CloseTimeout time.Duration
}

// Conn is a WebSocket as a stream of bytes. One goroutine may read while others write. All
// other methods may be called at any time.
type Conn struct {
	ws *websocket.Conn
	o  Options

	message io.Reader // owned by Read: what is left of the current message

	wmu sync.Mutex // held while a message is written

	dmu     sync.Mutex
	writeBy time.Time // the write deadline, zero for none
}

var _ net.Conn = (*Conn)(nil)

// New returns the stream on ws, which must not be used otherwise from then on. Close of the
// Conn closes it.
func New(ws *websocket.Conn, o Options) *Conn {
	c := &Conn{ws: ws, o: o}
	ws.SetReadLimit(o.MaxMessage)
	ws.SetPingHandler(c.answerPing)
	return c
}

// Read reads bytes of the peer's messages, whatever their boundaries. Pings are answered
// only while a Read runs. A text message ends the connection with close code 1003, a message
// above MaxMessage with 1009.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := c.nextMessage(); err != nil {
			return 0, err
		}
		n, err := c.message.Read(p)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// nextMessage waits for a message unless one is partly read.
func (c *Conn) nextMessage() error {
	if c.message != nil {
		return nil
	}
	kind, message, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	if kind != websocket.BinaryMessage {
		c.sendClose(websocket.CloseUnsupportedData, "")
		return errNotBinary
	}
	c.message = message
	return nil
}

// Write sends p as one binary message.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	// gorilla/websocket sets its deadline on the connection at each frame, also a zero one.
	_ = c.ws.SetWriteDeadline(c.writeDeadline()) // only stores it
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answerPing is called by Read. A peer that sends pings and does not read delays Read until
// the pong's deadline.
func (c *Conn) answerPing(data string) error {
	by := c.writeDeadline()
	if c.o.PongTimeout > 0 {
		by = time.Now().Add(c.o.PongTimeout)
	}
	_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), by)
	return nil // on a broken connection Read and Write fail, too
}

// Close sends a Close frame with code 1000, unless one was sent, and closes the connection.
// It is also the answer to a peer's Close frame.
func (c *Conn) Close() error { return c.CloseWith(websocket.CloseNormalClosure, "") }

// CloseWith is Close with another code (RFC 6455, 7.4.1). The text has at most 123 bytes.
func (c *Conn) CloseWith(code int, text string) error {
	c.sendClose(code, text)
	return c.ws.Close()
}

// Ping sends a ping. It waits for a Write that runs, at most for the time.
func (c *Conn) Ping(within time.Duration) error {
	return c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(within))
}

// sendClose sends a Close frame; gorilla/websocket drops any after the first. An error is
// ignored, since the connection is closed anyway.
func (c *Conn) sendClose(code int, text string) {
	message := websocket.FormatCloseMessage(code, text)
	_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(c.o.CloseTimeout))
}

// NetConn returns the connection below the WebSocket, TLS or TCP. Closing it sends no Close
// frame.
func (c *Conn) NetConn() net.Conn { return c.ws.NetConn() }

// LocalAddr is the address of this end.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the address of the peer, or of the proxy before it.
func (c *Conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read. One that passes ends the connection.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, also one that runs. One that passes ends the connection.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.writeBy = t
	return c.ws.NetConn().SetWriteDeadline(t)
}

func (c *Conn) writeDeadline() time.Time {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	return c.writeBy
}

package mqttws

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// maxMessage is the size of the largest message taken, in bytes. The
	// broker takes packets of 256 KB, and a message may hold a few. Messages
	// are streamed, so this is not about memory.
	maxMessage = 1 << 20
	// closeWithin bounds the writing of a Close frame.
	closeWithin = 5 * time.Second
)

// errNotBinary ends a connection (MQTT 3.1.1, MQTT-6.0.0-1).
var errNotBinary = errors.New("text message on MQTT's WebSocket")

// conn is a WebSocket as the stream of bytes MQTT runs on.
type conn struct {
	ws *websocket.Conn

	message io.Reader // owned by Read: what is left of the current message

	wmu sync.Mutex // held while a message is written

	dmu     sync.Mutex
	writeBy time.Time // the deadline of writes, zero for none
}

var _ net.Conn = (*conn)(nil)

func newConn(ws *websocket.Conn) *conn {
	c := &conn{ws: ws}
	ws.SetReadLimit(maxMessage)
	ws.SetPingHandler(c.answerPing)
	return c
}

// Read reads bytes of the peer's messages, whatever their boundaries. A Read
// is needed for pings to be answered.
func (c *conn) Read(p []byte) (int, error) {
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

// nextMessage waits for a message unless there is one already.
func (c *conn) nextMessage() error {
	if c.message != nil {
		return nil
	}
	kind, message, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	if kind != websocket.BinaryMessage {
		c.sayClose(websocket.CloseUnsupportedData)
		return errNotBinary
	}
	c.message = message
	return nil
}

// Write sends p as one message.
func (c *conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	// gorilla/websocket sets this again at each frame, none if it has none.
	_ = c.ws.SetWriteDeadline(c.writeDeadline()) // keeps it in a field
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answerPing is called by Read. A peer that pings and does not read holds up
// its own requests, for as long as the deadline of writes has it.
func (c *conn) answerPing(data string) error {
	_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), c.writeDeadline())
	return nil // a connection that is broken says so to Read and Write
}

// Close tells the peer, unless it was told, and closes the connection. It is
// also the answer to a peer's Close.
func (c *conn) Close() error {
	c.sayClose(websocket.CloseNormalClosure)
	return c.ws.Close()
}

// sayClose sends a Close frame; further ones are not sent.
func (c *conn) sayClose(code int) {
	message := websocket.FormatCloseMessage(code, "")
	// An end that cannot be said is still an end.
	_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(closeWithin))
}

// NetConn returns the connection below the WebSocket.
func (c *conn) NetConn() net.Conn { return c.ws.NetConn() }

// LocalAddr is the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the address of the peer.
func (c *conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read.
func (c *conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, a running one too.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.writeBy = t
	return c.ws.NetConn().SetWriteDeadline(t)
}

func (c *conn) writeDeadline() time.Time {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	return c.writeBy
}

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
	// maxMessage is the largest message accepted, in bytes. The broker accepts packets of
	// 256 KB, and a message may contain a few. The limit does not protect memory, because
	// messages are streamed.
	maxMessage = 1 << 20
	// closeWithin limits the write of a Close frame.
	closeWithin = 5 * time.Second
)

// errNotBinary reports a text message, which ends a connection (MQTT 3.1.1, MQTT-6.0.0-1).
var errNotBinary = errors.New("text message on MQTT's WebSocket")

// conn is a WebSocket as a stream of bytes for MQTT.
type conn struct {
	ws *websocket.Conn

	message io.Reader // owned by Read: the rest of the current message

	wmu sync.Mutex // held while a message is written

	dmu     sync.Mutex
	writeBy time.Time // write deadline; zero means none
}

var _ net.Conn = (*conn)(nil)

func newConn(ws *websocket.Conn) *conn {
	c := &conn{ws: ws}
	ws.SetReadLimit(maxMessage)
	ws.SetPingHandler(c.answerPing)
	return c
}

// Read reads the bytes of the peer's messages, and ignores message boundaries. Pings are
// answered only during a Read.
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

// nextMessage waits for the next message, unless the current one has not ended.
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
	// gorilla/websocket sets its deadline again for each frame, also if it is zero.
	_ = c.ws.SetWriteDeadline(c.writeDeadline()) // only sets a field
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// answerPing is called by Read. A peer that sends pings and does not read blocks its own
// requests, until the write deadline.
func (c *conn) answerPing(data string) error {
	_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), c.writeDeadline())
	return nil // Read and Write return the error of a broken connection
}

// Close sends a Close frame, unless one was sent before, and closes the connection. It
// also answers a Close frame of the peer.
func (c *conn) Close() error {
	c.sayClose(websocket.CloseNormalClosure)
	return c.ws.Close()
}

// sayClose sends a Close frame. Later calls send nothing.
func (c *conn) sayClose(code int) {
	message := websocket.FormatCloseMessage(code, "")
	// Best effort: the connection ends anyway.
	_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(closeWithin))
}

// NetConn returns the connection below the WebSocket.
func (c *conn) NetConn() net.Conn { return c.ws.NetConn() }

// LocalAddr returns the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr returns the address of the peer.
func (c *conn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of Read.
func (c *conn) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write. It also applies to a Write in progress.
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

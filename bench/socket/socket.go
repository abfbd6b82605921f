// Package socket adapts a WebSocket of gorilla's library to net.Conn, in the simplest way.
// The baseline gorilla and the cloud's end of a measurement use it. It duplicates package
// wsconn on purpose: a change of the product must change neither the baseline nor the
// measurement.
package socket

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// conn ignores the boundaries of messages. It answers pings during Read only.
type conn struct {
	*websocket.Conn
	message io.Reader // the rest of the current message; nil between messages
}

// New returns ws as a net.Conn. One goroutine may read and one may write at a time.
func New(ws *websocket.Conn) net.Conn { return &conn{Conn: ws} }

// Read reads from the peer's messages.
func (c *conn) Read(p []byte) (int, error) {
	for {
		if c.message == nil {
			_, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			c.message = r
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

// Write sends p as one message.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

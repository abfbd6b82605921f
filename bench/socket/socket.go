// Package socket is a WebSocket as a net.Conn by gorilla's library, as plainly as
// that can be done: for the baseline that is made so, and for the cloud's end of
// what is measured. It is not package wsconn on purpose: a change of the product
// must change neither what it is compared with nor what measures it.
package socket

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gorilla/websocket"
)

// conn reads whatever the messages' boundaries. Pings are answered while somebody
// reads.
type conn struct {
	*websocket.Conn
	message io.Reader // what is left of the current one
}

// New makes a net.Conn of ws. One goroutine may read and one may write at a time.
func New(ws *websocket.Conn) net.Conn { return &conn{Conn: ws} }

// Read reads bytes of the peer's messages.
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

package source

import (
	"net"
	"sync"
	"sync/atomic"
)

// cameraConn is the connection with the camera. It keeps the first error of a read, which
// the library may replace, and refuses a peer that does not speak RTSP at its first byte:
// the library would skip everything until it times out.
type cameraConn struct {
	net.Conn
	answered bool // the first byte was seen; the reading goroutine alone uses it

	mu      sync.Mutex
	readErr error

	closed atomic.Bool
}

// notRTSPError is the error of a peer whose first bytes are not those of RTSP.
type notRTSPError struct{}

func (notRTSPError) Error() string { return "the first byte does not begin an RTSP message" }

func (c *cameraConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.answered {
		c.answered = true
		if p[0] != 'R' && p[0] != 'O' { // an answer, or the camera's own OPTIONS
			n, err = 0, notRTSPError{}
		}
	}
	if err != nil && !c.closed.Load() {
		c.mu.Lock()
		if c.readErr == nil {
			c.readErr = err
		}
		c.mu.Unlock()
	}
	return n, err
}

// Close closes the connection. Errors of reads after it are not kept.
func (c *cameraConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// end closes the connection. The error of a connection that has ended already tells nothing.
func (c *cameraConn) end() { _ = c.Close() }

// lost returns the first error of a read, or nil if every read succeeded.
func (c *cameraConn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readErr
}

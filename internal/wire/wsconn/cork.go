package wsconn

import (
	"net"
	"sync"
)

// corkSize is the room for one frame as TLS records, in bytes, also for the small records
// at the start of a connection (crypto/tls).
const corkSize = maxFrame + 4<<10

// recordSize is the largest payload of one TLS record, in bytes.
const recordSize = 16 << 10

// corkPool holds the buffers of cork, each a *[corkSize]byte.
var corkPool = sync.Pool{New: func() any { return new([corkSize]byte) }}

// cork is a connection between TLS and TCP that writes all TLS records of one frame with
// one system call: crypto/tls makes one for each record. The copy costs less than the
// calls.
type cork struct {
	net.Conn

	mu   sync.Mutex // held while Conn is written to: crypto/tls may write messages of its own
	held *[corkSize]byte
	n    int // bytes in held
}

// hold buffers writes until release.
func (c *cork) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.n = corkPool.Get().(*[corkSize]byte), 0 //nolint:forcetypeassert // nothing else is put in
}

// Write buffers p after hold, as long as there is room for it.
func (c *cork) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil && c.n+len(p) > len(c.held) {
		if _, err := c.flush(); err != nil {
			return 0, err
		}
	}
	if c.held == nil || len(p) > len(c.held) {
		return c.Conn.Write(p)
	}
	c.n += copy(c.held[c.n:], p)
	return len(p), nil
}

// release writes the buffered bytes and returns the share of them that Conn accepted, 0
// to 1.
func (c *cork) release() (share float64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.n
	n, err := c.flush()
	corkPool.Put(c.held)
	c.held = nil
	if err == nil || kept == 0 {
		return 1, err
	}
	return float64(n) / float64(kept), err
}

// flush writes the buffered bytes. The caller holds mu.
func (c *cork) flush() (int, error) {
	kept := c.held[:c.n]
	c.n = 0
	if len(kept) == 0 {
		return 0, nil
	}
	return c.Conn.Write(kept)
}

// NetConn returns the wrapped connection.
func (c *cork) NetConn() net.Conn { return c.Conn }

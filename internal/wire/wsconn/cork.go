package wsconn

import (
	"net"
	"sync"
)

// corkSize is room for a frame as TLS records, also for the small ones that
// crypto/tls begins a connection with.
const corkSize = maxFrame + 4<<10

// recordSize is the most that one TLS record holds.
const recordSize = 16 << 10

// corked are buffers for cork, each of a *[corkSize]byte.
var corked = sync.Pool{New: func() any { return new([corkSize]byte) }}

// cork lies between TLS and TCP: crypto/tls has a system call for each record, and
// here those of one frame share one. The copy costs less than the calls.
type cork struct {
	net.Conn

	mu   sync.Mutex // held while Conn is written to: crypto/tls may say something of its own meanwhile
	held *[corkSize]byte
	n    int // bytes in held
}

// hold keeps what is written back until release.
func (c *cork) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.n = corked.Get().(*[corkSize]byte), 0 //nolint:forcetypeassert // nothing else is put in
}

// Write keeps p back as long as there is room for it.
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

// release writes what was kept back, and tells which share of it was taken.
func (c *cork) release() (share float64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.n
	n, err := c.flush()
	corked.Put(c.held)
	c.held = nil
	if err == nil || kept == 0 {
		return 1, err
	}
	return float64(n) / float64(kept), err
}

// flush writes what was kept back. The caller holds mu.
func (c *cork) flush() (int, error) {
	kept := c.held[:c.n]
	c.n = 0
	if len(kept) == 0 {
		return 0, nil
	}
	return c.Conn.Write(kept)
}

// NetConn is the connection underneath.
func (c *cork) NetConn() net.Conn { return c.Conn }

package wsconn

import (
	"net"
	"sync"
	"time"
)

// limit is the write deadline that the owner of a Conn has set. It is the connection's
// deadline while data is written, and not between two writes: the answer to a ping would
// fail then, and everything after it.
type limit struct {
	mu      sync.Mutex
	at      time.Time // zero: none
	writing bool      // data is being written
	closing bool      // the connection has its last deadline
}

// set replaces the deadline, also of a write that runs.
func (l *limit) set(conn net.Conn, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
	if !l.writing || l.closing {
		return nil
	}
	return conn.SetWriteDeadline(at)
}

// begin begins a write of data.
func (l *limit) begin(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = true
	if !l.at.IsZero() && !l.closing {
		_ = conn.SetWriteDeadline(l.at) // fails like the write
	}
}

// end ends a write of data.
func (l *limit) end(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = false
	if !l.at.IsZero() && !l.closing {
		_ = conn.SetWriteDeadline(time.Time{})
	}
}

// last sets the deadline of everything that is written from now on.
func (l *limit) last(conn net.Conn, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	_ = conn.SetWriteDeadline(at) // a connection that is closed already needs none
}

package rtspout

import (
	"context"
	"net"
	"sync"
)

// handover is the listener that gortsplib accepts from. It gets the connections of all
// real listeners, and never fails: gortsplib ends its server at the first error.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*handover)(nil)

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// put returns false if the listener is closed, or ctx ended.
func (h *handover) put(ctx context.Context, c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.closed:
	case <-ctx.Done():
	}
	return false
}

// Accept returns the next connection, or net.ErrClosed.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr returns an empty address: the listener has no socket.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

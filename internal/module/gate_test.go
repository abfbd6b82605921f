package module_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate is a way to the hub that can be shut.
type gate struct {
	net.Listener
	to string

	mu    sync.Mutex
	open  bool
	conns []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	g := &gate{to: to}
	g.Listener = serve(t, func(c net.Conn) {
		if far := g.pass(c); far != nil {
			join(c, far)
		}
	})
	t.Cleanup(func() { g.set(false) })
	return g
}

// join copies both ways until both connections have ended, and closes them.
func join(a, b net.Conn) {
	var other sync.WaitGroup
	other.Go(func() { _, _ = io.Copy(a, b); a.Close() })
	_, _ = io.Copy(b, a)
	b.Close()
	other.Wait()
}

// pass is the hub's end of a connection, or nil if the gate is shut.
func (g *gate) pass(c net.Conn) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	far, err := net.Dial("tcp", g.to)
	if !g.open || err != nil {
		c.Close()
		if err == nil {
			far.Close()
		}
		return nil
	}
	g.conns = append(g.conns, c, far)
	return far
}

// set opens the gate, or shuts it and cuts who is inside.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	for _, c := range g.conns {
		if !open {
			c.Close()
		}
	}
}

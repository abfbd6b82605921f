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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: ln, to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if far := g.pass(c); far != nil {
				running.Go(func() { _, _ = io.Copy(far, c); far.Close() })
				running.Go(func() { _, _ = io.Copy(c, far); c.Close() })
			}
		}
	})
	t.Cleanup(func() { g.set(false); ln.Close(); running.Wait() })
	return g
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

package module_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// switchable forwards connections to an address while it is on.
type switchable struct {
	net.Listener
	to string

	mu    sync.Mutex
	on    bool
	conns []net.Conn // both ends of each connection
}

func newSwitchable(t *testing.T, to string) *switchable {
	t.Helper()
	f := &switchable{to: to}
	f.Listener = serve(t, func(c net.Conn) {
		if far := f.forward(c); far != nil {
			join(c, far)
		}
	})
	t.Cleanup(func() { f.set(false) })
	return f
}

// join copies both ways until both connections have ended, and closes them.
func join(a, b net.Conn) {
	var other sync.WaitGroup
	other.Go(func() { _, _ = io.Copy(a, b); a.Close() })
	_, _ = io.Copy(b, a)
	b.Close()
	other.Wait()
}

// forward returns the connection to the address, or closes c and returns nil.
func (f *switchable) forward(c net.Conn) net.Conn {
	f.mu.Lock()
	defer f.mu.Unlock()
	far, err := net.Dial("tcp", f.to)
	if !f.on || err != nil {
		c.Close()
		if err == nil {
			far.Close()
		}
		return nil
	}
	f.conns = append(f.conns, c, far)
	return far
}

// set turns forwarding on, or turns it off and cuts all connections.
func (f *switchable) set(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = on
	for _, c := range f.conns {
		if !on {
			c.Close()
		}
	}
}

// accepted returns the number of forwarded connections so far.
func (f *switchable) accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns) / 2
}

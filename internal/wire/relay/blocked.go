package relay

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// lookEvery is how often somebody looks after a sender that is not read. One that is
// broken is noticed within twice that.
const lookEvery = 400 * time.Millisecond

// blocked looks after the sender of one direction while the receiver takes no bytes:
// nobody reads the sender then, so that nobody would hear that it was reset. It costs
// a timer while bytes flow, and nothing while none do.
type blocked struct {
	r      *run
	sender Side

	writes atomic.Int64 // begun and ended: odd while one waits
	on     atomic.Bool  // a look is to come
	seen   int64        // writes at the last look; look's own
}

// begin says that a write begins.
func (b *blocked) begin() {
	b.writes.Add(1)
	if !b.on.Load() && b.on.CompareAndSwap(false, true) {
		time.AfterFunc(lookEvery, b.look)
	}
}

// end says that it has ended.
func (b *blocked) end() { b.writes.Add(1) }

func (b *blocked) look() {
	was, now := b.seen, b.writes.Load()
	b.seen = now
	if waits := now%2 == 1; was == now && waits {
		if err := broken(b.r.conn(b.sender)); err != nil {
			b.r.broke(b.sender, err)
			return
		}
	} else if was == now {
		b.on.Store(false)
		if b.writes.Load() == now || !b.on.CompareAndSwap(false, true) {
			return // whoever begins a write from now on turns it on
		}
	}
	time.AfterFunc(lookEvery, b.look)
}

// errBroken is of a connection that nobody was reading.
var errBroken = errors.New("reset or lost, while the other side took no bytes")

// broken is Breakable's method, for plain sockets too.
func broken(conn net.Conn) error {
	if b, ok := conn.(Breakable); ok {
		return b.Broken()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil //nolint:nilerr // the relay itself has closed it
	}
	err = nil
	_ = raw.Control(func(fd uintptr) {
		if failed(fd) {
			err = named(conn, errBroken)
		}
	})
	return err
}

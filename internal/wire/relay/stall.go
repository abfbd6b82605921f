package relay

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// checkInterval is the time between two checks of a sender that is not read. A broken one
// is detected within twice that.
const checkInterval = 400 * time.Millisecond

// stallWatch checks the sender of one direction while a write to its receiver blocks: the
// sender is not read then, so a Read cannot report its reset. It runs one timer while
// bytes flow, and none while the direction is idle.
type stallWatch struct {
	r      *run
	sender Side

	writes  atomic.Int64 // started plus ended: odd during a write
	running atomic.Bool  // a check is scheduled
	seen    int64        // writes at the last check; owned by check
}

// begin records the start of a write.
func (w *stallWatch) begin() {
	w.writes.Add(1)
	if !w.running.Load() && w.running.CompareAndSwap(false, true) {
		time.AfterFunc(checkInterval, w.check)
	}
}

// end records the end of a write.
func (w *stallWatch) end() { w.writes.Add(1) }

func (w *stallWatch) check() {
	was, now := w.seen, w.writes.Load()
	w.seen = now
	if blocked := now%2 == 1; was == now && blocked {
		if err := broken(w.r.conn(w.sender)); err != nil {
			w.r.fail(w.sender, err)
			return
		}
	} else if was == now {
		w.running.Store(false)
		if w.writes.Load() == now || !w.running.CompareAndSwap(false, true) {
			return // the next write schedules a check
		}
	}
	time.AfterFunc(checkInterval, w.check)
}

// errBroken is the error of a connection that failed while it was not read.
var errBroken = errors.New("reset or lost, while the other side took no bytes")

// broken is Breakable.Broken, or the same for plain sockets.
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
			err = readError(conn, errBroken)
		}
	})
	return err
}

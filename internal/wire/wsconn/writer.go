package wsconn

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errClosed = errors.New("the connection is closed")
	errBusy   = errors.New("not sent: another frame is being written")
)

// writer sends all frames of a WebSocket, those of control too: each by one Write,
// one at a time. There is no deadline while the tunnel lives: one that passes would
// end a TLS connection for good (crypto/tls, Conn.SetWriteDeadline).
//
// Data blocks while the peer does not read. A control frame never waits for data:
// a ping is not sent then, and a pong is owed until the next frame is due.
type writer struct {
	conn   net.Conn
	cork   *cork // under conn; nil if there is no TLS, or not ours
	masked bool  // frames of a client are (RFC 6455, 5.3)

	owed atomic.Pointer[string] // the newest ping's data, until its pong is out

	// What liveness wants to know.
	writing atomic.Bool  // a frame is being written
	wrote   atomic.Bool  // data was written since it has looked
	sent    atomic.Int64 // bytes that conn took

	mu      sync.Mutex     // held while a frame is written
	err     error          // with mu: why nothing can be sent any more
	helpers sync.WaitGroup // with mu while err is nil: who sends a pong that came while nobody wrote
}

// data sends buf[headroom:], of at most maxPayload bytes, and returns how many of
// them the connection took. All of buf is overwritten.
func (w *writer) data(buf []byte) (int, error) {
	w.mu.Lock()
	defer w.settle()
	defer w.mu.Unlock()
	w.pay()
	return w.frame(binaryFrame, buf)
}

// frame writes one frame and returns how many bytes of payload the connection took.
// The caller holds mu.
func (w *writer) frame(opcode byte, buf []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	payload := len(buf) - headroom
	frame := seal(opcode, buf, w.masked)
	w.writing.Store(true)
	n, err := w.write(frame)
	w.sent.Add(int64(n))
	if opcode == binaryFrame {
		w.wrote.Store(true)
	}
	w.writing.Store(false)
	w.err = err
	return max(0, n-(len(frame)-payload)), err
}

// write writes a frame by one system call. If that fails, how many of its bytes went out
// is as good a guess as TLS allows.
func (w *writer) write(frame []byte) (int, error) {
	if w.cork == nil || len(frame) <= recordSize {
		return w.conn.Write(frame)
	}
	w.cork.hold()
	n, err := w.conn.Write(frame)
	share, failed := w.cork.release()
	if err == nil {
		err = failed
	}
	return int(float64(n) * share), err
}

// control writes one control frame. The caller holds mu.
func (w *writer) control(opcode byte, payload string) error {
	var buf [headroom + maxControl]byte
	n := copy(buf[headroom:], payload)
	_, err := w.frame(opcode, buf[:headroom+n])
	return err
}

// ping sends a ping, unless another frame is being written.
func (w *writer) ping() error {
	if !w.mu.TryLock() {
		return errBusy
	}
	defer w.settle()
	defer w.mu.Unlock()
	return w.control(pingFrame, "")
}

// owe answers a ping. It is called by the reader and waits for nobody: whoever is
// writing sends the pong, the newest alone, after its frame or before its next one;
// if nobody is, a goroutine does, since the send buffer may be full.
func (w *writer) owe(data string) {
	w.owed.Store(&data)
	if !w.mu.TryLock() {
		return
	}
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.helpers.Go(func() {
		w.pay()
		w.mu.Unlock()
		w.settle()
	})
}

// pay sends the pong that is owed. The caller holds mu.
func (w *writer) pay() {
	if data := w.owed.Swap(nil); data != nil {
		_ = w.control(pongFrame, *data) // a connection that is broken says so to Read and Write
	}
}

// settle pays what was owed while mu was held; who held it calls it afterwards.
func (w *writer) settle() {
	for w.owed.Load() != nil {
		if !w.mu.TryLock() {
			return
		}
		w.pay()
		w.mu.Unlock()
	}
}

// close sends Close, and nothing can be sent after it. The tunnel is at its end, so
// that there is a deadline, also for a frame that is being written.
func (w *writer) close(code int, text string, within time.Duration) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(within))
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastWord(code, text)
}

// tryClose is close for a connection that is to be reset: it does not wait for a
// frame that is being written.
func (w *writer) tryClose(code int, text string, within time.Duration) {
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	_ = w.conn.SetWriteDeadline(time.Now().Add(within))
	_ = w.lastWord(code, text)
}

// lastWord sends Close. The caller holds mu.
func (w *writer) lastWord(code int, text string) error {
	err := w.control(closeFrame, string([]byte{byte(code >> 8), byte(code)})+text) //nolint:gosec // codes have 16 bits
	if w.err == nil {
		w.err = errClosed
	}
	return err
}

// stop waits until nobody writes any more. The connection is closed.
func (w *writer) stop() {
	w.mu.Lock()
	if w.err == nil {
		w.err = errClosed
	}
	w.mu.Unlock()
	w.helpers.Wait()
}

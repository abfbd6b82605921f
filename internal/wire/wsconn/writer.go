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

// writer sends all frames of a WebSocket, control frames included: one frame at a time,
// each with one Write. An expired write deadline ends a TLS connection permanently
// (crypto/tls, Conn.SetWriteDeadline). So the owner's deadline is set while data is written,
// and is no deadline of the pings and pongs after that; Close sets one for all.
//
// Data frames block while the peer does not read. Control frames do not wait for them: a
// ping is skipped, and a pong stays pending until the next frame is written.
type writer struct {
	conn   net.Conn
	cork   *cork // under conn; nil without TLS, or if TLS is not ours
	masked bool  // a client masks its frames (RFC 6455, 5.3)

	pendingPong atomic.Pointer[string] // the data of the newest ping without a pong

	// For liveness.
	writing atomic.Bool  // a frame is being written
	wrote   atomic.Bool  // data was written since the last check
	sent    atomic.Int64 // bytes that conn accepted

	limit limit

	mu    sync.Mutex     // held while a frame is written
	err   error          // guarded by mu: why nothing can be sent any more
	pongs sync.WaitGroup // Go only with mu held and err nil: goroutines that send a pong
}

// data sends buf[headroom:], at most maxPayload bytes, and returns how many of them the
// connection accepted. All of buf is overwritten.
func (w *writer) data(buf []byte) (int, error) {
	w.mu.Lock()
	defer w.flushPong()
	defer w.mu.Unlock()
	w.limit.begin(w.conn)
	defer w.limit.end(w.conn)
	w.sendPong()
	return w.frame(binaryFrame, buf)
}

// frame writes one frame and returns how many bytes of its payload the connection
// accepted. The caller holds mu.
func (w *writer) frame(opcode byte, buf []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	payload := len(buf) - headroom
	frame := encodeFrame(opcode, buf, w.masked)
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

// write writes a frame with one system call. After an error the number of bytes is an
// estimate: TLS does not tell how many were sent.
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

// ping sends a ping. It returns errBusy if another frame is being written.
func (w *writer) ping() error {
	if !w.mu.TryLock() {
		return errBusy
	}
	defer w.flushPong()
	defer w.mu.Unlock()
	return w.control(pingFrame, "")
}

// queuePong answers a ping without blocking the reader, which calls it. If a frame is
// being written, its writer sends the pong of the newest ping, after that frame or before
// its next one. Otherwise a goroutine sends it, since the send buffer may be full.
func (w *writer) queuePong(data string) {
	w.pendingPong.Store(&data)
	if !w.mu.TryLock() {
		return
	}
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.pongs.Go(func() {
		w.sendPong()
		w.mu.Unlock()
		w.flushPong()
	})
}

// sendPong sends the pending pong, if there is one. The caller holds mu.
func (w *writer) sendPong() {
	if data := w.pendingPong.Swap(nil); data != nil {
		_ = w.control(pongFrame, *data) // Read and Write return the error of a broken connection
	}
}

// flushPong sends a pong that became pending while mu was held. Every holder of mu calls
// it after unlocking.
func (w *writer) flushPong() {
	for w.pendingPong.Load() != nil {
		if !w.mu.TryLock() {
			return
		}
		w.sendPong()
		w.mu.Unlock()
	}
}

// close sends Close; later frames are refused. It sets a write deadline, which also
// bounds a frame that is being written: the tunnel ends here.
func (w *writer) close(code int, text string, within time.Duration) error {
	w.limit.last(w.conn, time.Now().Add(within))
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closeLocked(code, text)
}

// tryClose is close for a connection that is about to be reset: it sends nothing if
// another frame is being written.
func (w *writer) tryClose(code int, text string, within time.Duration) {
	if !w.mu.TryLock() {
		return
	}
	defer w.mu.Unlock()
	w.limit.last(w.conn, time.Now().Add(within))
	_ = w.closeLocked(code, text)
}

// closeLocked sends Close. The caller holds mu.
func (w *writer) closeLocked(code int, text string) error {
	err := w.control(closeFrame, string([]byte{byte(code >> 8), byte(code)})+text) //nolint:gosec // codes have 16 bits
	if w.err == nil {
		w.err = errClosed
	}
	return err
}

// stop returns when no goroutine writes any more. The caller has closed the connection.
func (w *writer) stop() {
	w.mu.Lock()
	if w.err == nil {
		w.err = errClosed
	}
	w.mu.Unlock()
	w.pongs.Wait()
}

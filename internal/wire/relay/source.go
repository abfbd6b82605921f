package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"rtsptunnel/internal/wire/pace"
)

// bufferSize is the number of bytes of one read and write, with InPlace's headroom.
const bufferSize = 64 << 10

type buffer [bufferSize]byte

// buffers is shared by all relays: a direction holds a buffer only while it has bytes.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer() *buffer { return buffers.Get().(*buffer) } //nolint:forcetypeassert // nothing else is put in

// source reads the bytes of one side, and holds a buffer only while there are some. A TCP
// socket is read without blocking; its goroutine parks until the socket is readable. An
// Awaiter waits without a buffer, and any other connection with one. A source that waits
// for its bit rate holds no buffer; an Awaiter processes control frames before that.
type source struct {
	conn        net.Conn
	room        int // bytes to leave free at the start of the buffer
	await       Awaiter
	raw         syscall.RawConn
	relay       *run
	reservation *pace.Reservation // to wait for before the next read; nil for none

	// The results of try.
	buf *buffer
	n   int
	err error
}

func newSource(conn net.Conn, room int, r *run) *source {
	s := &source{conn: conn, room: room, relay: r}
	if await, ok := conn.(Awaiter); ok {
		s.await = await
	} else if socket, ok := conn.(syscall.Conn); ok && canTry {
		if raw, err := socket.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	return s
}

// next returns the next bytes, buf[room:room+n]; the caller puts a buf that is not nil back
// into buffers. It returns bytes or an error: errOver if the relay ended while next waited
// for the bit rate.
func (s *source) next() (buf *buffer, n int, err error) {
	if s.await != nil {
		if err := s.await.Await(); err != nil {
			return nil, 0, err
		}
	}
	if s.reservation != nil && !s.reservation.Wait(s.relay.ending()) {
		return nil, 0, errOver
	}
	if s.raw != nil {
		return s.readSocket()
	}
	buf = getBuffer()
	n, err = s.conn.Read(s.target(buf))
	s.reservation = s.relay.pace.Reserve(n)
	if n == 0 {
		buffers.Put(buf)
		return nil, 0, err
	}
	return buf, n, err
}

// target returns the part of buf that the next read may fill.
func (s *source) target(buf *buffer) []byte {
	return buf[s.room:][:s.relay.pace.MaxRead(bufferSize-s.room)]
}

func (s *source) readSocket() (*buffer, int, error) {
	s.buf, s.n, s.err = nil, 0, nil
	if err := s.raw.Read(s.try); err != nil {
		return nil, 0, readError(s.conn, err)
	}
	if s.err != nil {
		return nil, 0, readError(s.conn, s.err)
	}
	buf := s.buf
	s.buf = nil // a source that waits for its bit rate must not keep the buffer alive
	return buf, s.n, nil
}

// try reads without blocking. It returns false if there are no bytes; the runtime then
// calls it again when the socket is readable.
func (s *source) try(fd uintptr) (done bool) {
	buf := getBuffer()
	n, err := readNow(fd, s.target(buf))
	if n > 0 {
		s.buf, s.n, s.reservation = buf, n, s.relay.pace.Reserve(n)
		return true
	}
	buffers.Put(buf)
	if errors.Is(err, errNothing) {
		return false
	}
	if err == nil {
		err = endOf(fd)
	}
	s.err = err
	return true
}

// endOf returns the error of a socket without more bytes: io.EOF, or ECONNRESET if a failed
// write has consumed the error of a reset. After an end in both directions the other side
// may have been first; it does not matter then which of the two this returns.
func endOf(fd uintptr) error {
	if hungUp(fd) {
		return os.NewSyscallError("read", syscall.ECONNRESET)
	}
	return io.EOF
}

// readError is ReadErrorer.ReadError, or err itself for connections without that method.
func readError(conn net.Conn, err error) error {
	names, ok := conn.(ReadErrorer)
	if ok && !errors.Is(err, io.EOF) {
		return names.ReadError(err)
	}
	return err
}

var (
	errNothing = errors.New("nothing to read") // yet
	errOver    = errors.New("the relay is over")
)

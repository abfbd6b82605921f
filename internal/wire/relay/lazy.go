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

// bufferSize is how many bytes go from one side to the other at once at most, what
// InPlace needs before them included.
const bufferSize = 64 << 10

type buffer [bufferSize]byte

// buffers are shared by all relays: each direction holds one while it has bytes.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

func getBuffer() *buffer { return buffers.Get().(*buffer) } //nolint:forcetypeassert // nothing else is put in

// source reads one side's bytes, and holds a buffer only while there are some. A TCP
// connection is asked without waiting, and has its goroutine parked if there are
// none; any other is waited for with a buffer, unless it is an Awaiter. Who waits for
// its turn holds none; an Awaiter goes on with what is not bytes meanwhile.
type source struct {
	conn  net.Conn
	room  int // to leave free at the buffer's beginning
	await Awaiter
	raw   syscall.RawConn
	relay *run
	turn  *pace.Turn // to read; nil if it has come

	// What try leaves.
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

// next returns the next bytes, buf[room:room+n]; whoever gets a buffer puts it back.
// There are bytes or there is an error: errOver if the relay ended before its turn came.
func (s *source) next() (buf *buffer, n int, err error) {
	if s.await != nil {
		if err := s.await.Await(); err != nil {
			return nil, 0, err
		}
	}
	if s.turn != nil && !s.turn.Await(s.relay.ending()) {
		return nil, 0, errOver
	}
	if s.raw != nil {
		return s.readSocket()
	}
	buf = getBuffer()
	n, err = s.conn.Read(s.piece(buf))
	s.turn = s.relay.pace.Spend(n)
	if n == 0 {
		buffers.Put(buf)
		return nil, 0, err
	}
	return buf, n, err
}

// piece is what of a buffer may be filled now.
func (s *source) piece(buf *buffer) []byte {
	return buf[s.room:][:s.relay.pace.Piece(bufferSize-s.room)]
}

func (s *source) readSocket() (*buffer, int, error) {
	s.buf, s.n, s.err = nil, 0, nil
	if err := s.raw.Read(s.try); err != nil {
		return nil, 0, named(s.conn, err)
	}
	if s.err != nil {
		return nil, 0, named(s.conn, s.err)
	}
	buf := s.buf
	s.buf = nil // who waits for its turn does not keep it alive
	return buf, s.n, nil
}

// try reads what is there. It returns false if that is nothing, and is called again
// when the socket is readable.
func (s *source) try(fd uintptr) (done bool) {
	buf := getBuffer()
	n, err := readNow(fd, s.piece(buf))
	if n > 0 {
		s.buf, s.n, s.turn = buf, n, s.relay.pace.Spend(n)
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

// endOf is what it means that a socket has no more bytes: io.EOF, or a reset whose error
// went to a write that failed. Where both directions have ended the other side may have
// been first, too; then it is of no matter what this end is called.
func endOf(fd uintptr) error {
	if hungUp(fd) {
		return os.NewSyscallError("read", syscall.ECONNRESET)
	}
	return io.EOF
}

// named lets a connection say its own words for an error of its socket.
func named(conn net.Conn, err error) error {
	names, ok := conn.(ReadErrorer)
	if ok && !errors.Is(err, io.EOF) {
		return names.ReadError(err)
	}
	return err
}

var (
	errNothing = errors.New("nothing to read") // just now
	errOver    = errors.New("the relay is over")
)

package wsstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// maxInformational is how many informational answers are skipped, as in net/http's client.
const maxInformational = 5

// ErrInformational is the error of a Read after too many informational answers.
var ErrInformational = errors.New("more than 5 informational answers (1xx)")

// Answer is the connection of a client during a WebSocket handshake, above TLS. It adds two
// things that gorilla/websocket lacks:
//   - it skips up to five informational answers (RFC 9110, 15.2) before the final one; 101 is
//     final, since it ends HTTP;
//   - an answer other than 101 ends with its head: Read then returns io.EOF, so a body that
//     does not end delays nothing.
//
// Behind a 101 it delivers all bytes. Read does not cross the end of the head, so Rest has
// every byte behind it.
type Answer struct {
	net.Conn
	in *bufio.Reader // nil when the buffered bytes behind the head are delivered

	piece   []byte // to deliver: a line of the final head or a part of one
	err     error  // to return when piece is delivered
	status  int    // of the current head, 0 if its first line is no status line of HTTP/1
	inHead  bool   // the status line of the current head is read
	inLine  bool   // the last piece had no end of line
	ended   bool   // the final head is read
	skipped int    // informational answers
}

// NewAnswer returns an Answer that reads conn with a buffer of this size in bytes.
func NewAnswer(conn net.Conn, buffer int) *Answer {
	return &Answer{Conn: conn, in: bufio.NewReaderSize(conn, buffer)}
}

// Read delivers the head of the final answer and, behind a 101, all later bytes.
func (a *Answer) Read(p []byte) (int, error) {
	for len(a.piece) == 0 && !a.ended && a.err == nil {
		a.next()
	}
	switch {
	case len(a.piece) > 0:
		n := copy(p, a.piece)
		a.piece = a.piece[n:]
		return n, nil
	case a.err != nil:
		return 0, a.err
	case a.status != http.StatusSwitchingProtocols:
		return 0, io.EOF
	case a.in != nil && a.in.Buffered() > 0:
		return a.in.Read(p)
	}
	a.in = nil
	return a.Conn.Read(p)
}

// next reads a line, or as much of it as the buffer holds. It drops the lines of
// informational answers.
func (a *Answer) next() {
	piece, err := a.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		a.err = err
	}
	blank := !a.inLine && (string(piece) == "\r\n" || string(piece) == "\n")
	a.inLine = len(piece) > 0 && piece[len(piece)-1] != '\n'
	switch {
	case !a.inHead:
		a.inHead, a.status = true, status(string(piece))
		if a.informational() {
			a.skipped++
		}
	case blank && a.informational():
		a.inHead = false
		return
	case blank:
		a.ended = true
	}
	if !a.informational() {
		a.piece = piece
	} else if a.skipped > maxInformational {
		a.err = ErrInformational
	}
}

func (a *Answer) informational() bool {
	return a.status/100 == 1 && a.status != http.StatusSwitchingProtocols
}

// Rest returns a reader of the bytes behind the head, after a Read has delivered the whole
// head. Then nothing else may read from the Answer or its connection.
func (a *Answer) Rest() *bufio.Reader { return a.in }

// NetConn returns the connection below.
func (a *Answer) NetConn() net.Conn { return a.Conn }

// status returns the status in a status line, read as net/http reads it; 0 if there is none.
func status(line string) int {
	proto, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	n, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || !strings.HasPrefix(proto, "HTTP/1.") {
		return 0
	}
	return n
}

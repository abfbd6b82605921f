package live

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"time"
)

// writeWithin is the time for a client to take one piece of an answer, which an output writes
// in pieces of at most one fragment or part of it. The HTTP server has no such bound.
const writeWithin = 30 * time.Second

// answer bounds each write of an answer, and keeps its status.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	status  int
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader keeps the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes b, or fails if the client does not take it in time.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.bound()
	return a.ResponseWriter.Write(b)
}

// Flush sends what was written.
func (a *answer) Flush() {
	a.bound()
	_ = a.control.Flush()
}

// bound begins the time of one write. net/http sends what it has buffered within the last
// one's time, and removes the bound before the connection's next request.
func (a *answer) bound() {
	_ = a.control.SetWriteDeadline(time.Now().Add(writeWithin)) // a test's recorder has none
}

// Hijack hands the connection to an output that speaks another protocol. The output bounds its
// own writes.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := a.control.Hijack()
	if err != nil {
		return nil, nil, errors.Join(errors.New("hijack the connection"), err)
	}
	a.status = http.StatusSwitchingProtocols
	return conn, buffered, nil
}

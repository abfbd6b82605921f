package wsconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
)

// CorkSize is the number of bytes that a Cork buffers at most.
const CorkSize = corkSize

// Cork is the connection between TLS and TCP.
type Cork struct{ cork }

// NewCork returns a cork over conn.
func NewCork(conn net.Conn) *Cork { return &Cork{cork{Conn: conn}} }

// Hold calls hold.
func (c *Cork) Hold() { c.hold() }

// Release calls release.
func (c *Cork) Release() (float64, error) { return c.release() }

// OverTLS opens a WebSocket as a Dialer does, over a conn that is already open.
func OverTLS(conn net.Conn, config *tls.Config) (*Conn, error) {
	records := &cork{Conn: conn}
	under := &transport{Conn: tls.Client(records, config), cork: records}
	answer := wsstream.NewAnswer(under, readBuffer)
	d := websocket.Dialer{
		NetDialContext:  func(context.Context, string, string) (net.Conn, error) { return answer, nil },
		ReadBufferSize:  readBuffer,
		WriteBufferPool: noBuffers,
	}
	_, _, err := d.Dial("ws://"+config.ServerName+"/", nil)
	if err != nil {
		return nil, err
	}
	return newConn(answer.Rest(), under, client, Liveness{}), nil
}

// AcceptWatched is Accept with these limits.
func AcceptWatched(w http.ResponseWriter, r *http.Request, limits Liveness) (*Conn, error) {
	return accept(w, r, limits)
}

// Watch is the liveness of a connection without a connection: the test passes the time
// and the sample.
type Watch struct{ l *liveness }

// Sample is the state of a connection at one time.
type Sample struct {
	Received int64 // bytes
	Unread   bool
	Acked    int64 // bytes
	Queued   int64 // bytes
	Blocked  bool  // a frame is being written
	Wrote    bool  // a frame was written
	Pinged   bool  // a ping is sent after the check
}

// NewWatch returns a Watch that starts at this time, and its interval.
func NewWatch(limits Liveness, at time.Time) (w *Watch, interval time.Duration) {
	l := &liveness{c: &Conn{}, limits: limits.withDefaults(), checkedAt: at, progress: at}
	l.interval = l.limits.interval()
	return &Watch{l}, l.interval
}

// Evaluate calls evaluate.
func (w *Watch) Evaluate(at time.Time, is Sample) error {
	w.l.c.out.writing.Store(is.Blocked)
	if is.Wrote {
		w.l.c.out.wrote.Store(true)
	}
	err := w.l.evaluate(at, sample{received: is.Received, unread: is.Unread, acked: is.Acked, queued: is.Queued})
	if is.Pinged {
		w.l.pinged(at)
	}
	return err
}

// CloseCode is the close code and text that CloseCause sends for err.
func CloseCode(err error) (code int, text string) { return closeCode(err) }

// ErrProtocol marks bytes that RFC 6455 does not allow.
var ErrProtocol = errProtocol

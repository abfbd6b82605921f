package wsconn

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// CorkSize is how many bytes a Cork keeps back at most.
const CorkSize = corkSize

// Cork is what lies between TLS and TCP.
type Cork struct{ cork }

// NewCork is a cork over conn.
func NewCork(conn net.Conn) *Cork { return &Cork{cork{Conn: conn}} }

// Hold is cork's.
func (c *Cork) Hold() { c.hold() }

// Release is cork's.
func (c *Cork) Release() (float64, error) { return c.release() }

// OverTLS opens a WebSocket over conn as a Dialer does, without having dialled it.
func OverTLS(conn net.Conn, config *tls.Config) (*Conn, error) {
	records := &cork{Conn: conn}
	under := &transport{Conn: tls.Client(records, config), cork: records}
	d := websocket.Dialer{
		NetDialContext:  func(context.Context, string, string) (net.Conn, error) { return under, nil },
		ReadBufferSize:  readBuffer,
		WriteBufferPool: noBuffers,
	}
	ws, _, err := d.Dial("ws://"+config.ServerName+"/", nil)
	if err != nil {
		return nil, err
	}
	return newConn(ws, under, client, Liveness{}), nil
}

// AcceptWatched is Accept with other limits.
func AcceptWatched(w http.ResponseWriter, r *http.Request, limits Liveness) (*Conn, error) {
	return accept(w, r, limits)
}

// Judge is a connection's liveness without the connection: it is told what the time
// is, and what is known then.
type Judge struct{ l *liveness }

// Known is what a Judge is told.
type Known struct {
	Received int64 // bytes
	Unread   bool
	Acked    int64 // bytes
	Queued   int64 // bytes
	Blocked  bool  // a frame is being written
	Wrote    bool  // one was
	Pinged   bool  // a ping goes out after the look
}

// NewJudge begins at a time.
func NewJudge(limits Liveness, at time.Time) (j *Judge, every time.Duration) {
	l := &liveness{c: &Conn{}, limits: limits.withDefaults(), last: at, progress: at}
	l.every = l.limits.every()
	return &Judge{l}, l.every
}

// Look is liveness's judge.
func (j *Judge) Look(at time.Time, is Known) error {
	j.l.c.out.writing.Store(is.Blocked)
	if is.Wrote {
		j.l.c.out.wrote.Store(true)
	}
	err := j.l.judge(at, sample{received: is.Received, unread: is.Unread, acked: is.Acked, queued: is.Queued})
	if is.Pinged {
		j.l.sent(at)
	}
	return err
}

// CloseCode is the close code and text that CloseCause sends for err.
func CloseCode(err error) (code int, text string) { return closeCode(err) }

// ErrProtocol marks bytes that RFC 6455 does not allow.
var ErrProtocol = errProtocol

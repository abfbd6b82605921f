package rtspws

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/rtspout"
)

// conn is a player's connection as RTSP has it. Its bytes in pass a pipe: a read deadline
// ends a WebSocket for good, and the RTSP server interrupts its reads to look for a player
// that hangs up. Its bytes out go to the WebSocket at once.
type conn struct {
	stream *wsstream.Conn
	in     net.Conn // what RTSP reads
	feed   net.Conn // the pipe's other end
	client *net.TCPAddr
	gone   atomic.Bool // the player gave no sign of life
}

var _ rtspout.Granted = (*conn)(nil)

func newConn(s *wsstream.Conn, client netip.AddrPort) *conn {
	c := &conn{stream: s, client: net.TCPAddrFromAddrPort(client)}
	c.in, c.feed = net.Pipe()
	return c
}

// clientOf returns the client's address. Behind a proxy, the port is not known.
func clientOf(r *http.Request, from netip.Addr) netip.AddrPort {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil && peer.Addr().Unmap() == from.Unmap() {
		return netip.AddrPortFrom(from, peer.Port())
	}
	return netip.AddrPortFrom(from, 0)
}

// pump moves the player's bytes into the pipe, until either end is closed or the player is
// silent for too long. While RTSP does not read, the player has all the time.
func (c *conn) pump(silence time.Duration) {
	defer c.feed.Close()
	b := make([]byte, readBuffer)
	for {
		if c.stream.SetReadDeadline(time.Now().Add(silence)) != nil {
			return
		}
		n, err := c.stream.Read(b)
		if err != nil {
			timeout, ok := errors.AsType[net.Error](err)
			c.gone.Store(ok && timeout.Timeout())
			return
		}
		if _, err := c.feed.Write(b[:n]); err != nil {
			return
		}
	}
}

// Read returns the player's bytes. The error is ETIMEDOUT, as TCP has it, if the player gave
// no sign of life.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if errors.Is(err, io.EOF) && c.gone.Load() {
		err = syscall.ETIMEDOUT
	}
	return n, err
}

// Write sends p as one message.
func (c *conn) Write(p []byte) (int, error) { return c.stream.Write(p) }

// Close closes the connection with code 1000.
func (c *conn) Close() error { return c.CloseWith(nil) }

// CloseWith closes the connection. The player learns why, if there is a failure.
func (c *conn) CloseWith(f *failure.Failure) error {
	text := ""
	if f != nil {
		text = string(f.Reason)
	}
	return errors.Join(c.stream.CloseWith(closeCode(f), text), c.in.Close())
}

// closeCode returns the code of a Close frame (RFC 6455, 7.4.1, and IANA's registry).
func closeCode(f *failure.Failure) int {
	if f == nil {
		return websocket.CloseNormalClosure
	}
	if f.Reason == reason.ShuttingDown {
		return websocket.CloseGoingAway
	}
	switch f.HTTPStatus() {
	case http.StatusUnauthorized, http.StatusForbidden:
		return websocket.ClosePolicyViolation
	case http.StatusTooManyRequests:
		return websocket.CloseTryAgainLater
	default:
		return websocket.CloseInternalServerErr
	}
}

// NetConn returns the connection below the WebSocket.
func (c *conn) NetConn() net.Conn { return c.stream.NetConn() }

// LocalAddr is the address of this end.
func (c *conn) LocalAddr() net.Addr { return c.stream.LocalAddr() }

// RemoteAddr is the client's address, also behind a proxy.
func (c *conn) RemoteAddr() net.Addr { return c.client }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read. A later Read continues.
func (c *conn) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, also one that runs. One that passes ends the connection.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }

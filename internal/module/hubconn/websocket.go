package hubconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

const (
	webSocketPath     = "/$iothub/websocket" // the edge hub takes any
	webSocketProtocol = "mqtt"
	maxUpgrade        = 64 << 10 // bytes of the answer to the handshake
	bufferSize        = 4 << 10  // bytes, for reading and for writing
	closeTime         = time.Second
)

var (
	errUpgradeSize   = errors.New("the answer to the WebSocket handshake does not end")
	errUpgradeChoice = errors.New("the server did not choose subprotocol mqtt and no extension")
	errNotBinary     = errors.New("text message on MQTT's WebSocket")
)

// upgrade makes a WebSocket for MQTT (MQTT 3.1.1, section 6) of a connection that
// has TLS already, and is closed when ctx ends. Paho's own would do all of it
// itself: by Go's default proxies, without ctx, with an answer of any size, and with
// a deadline that one goroutine sets while another reads it.
func upgrade(ctx context.Context, conn net.Conn, server string) (net.Conn, error) {
	bounded := &boundedConn{Conn: conn}
	bounded.left.Store(maxUpgrade)
	dialer := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return bounded, nil },
		Subprotocols:      []string{webSocketProtocol},
		ReadBufferSize:    bufferSize,
		WriteBufferSize:   bufferSize,
	}
	ws, answer, err := dialer.DialContext(ctx, "wss://"+server+webSocketPath, nil)
	if answer != nil && answer.Body != nil {
		defer func() { _ = answer.Body.Close() }() // a copy of its first bytes
	}
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && answer != nil:
		return nil, reason.New(reason.HubUpgrade, fmt.Errorf("WebSocket handshake answered with status %d", answer.StatusCode))
	case late(ctx, err):
		return nil, reason.New(reason.HubTimeout, fmt.Errorf("no answer to the WebSocket handshake: %w", err))
	case alert(err):
		return nil, reason.New(reason.HubLogin, fmt.Errorf("WebSocket handshake: %w", err))
	case err != nil:
		return nil, reason.New(reason.HubUpgrade, fmt.Errorf("WebSocket handshake: %w", err))
	case ws.Subprotocol() != webSocketProtocol || answer.Header.Get("Sec-WebSocket-Extensions") != "":
		return nil, reason.New(reason.HubUpgrade, errUpgradeChoice)
	}
	bounded.open.Store(true)
	ws.SetReadLimit(0) // messages are streamed, so their size is no matter
	return &webSocket{ws: ws}, nil
}

// boundedConn lets so many bytes in until it is open.
type boundedConn struct {
	net.Conn
	open atomic.Bool
	left atomic.Int64
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.open.Load() && c.left.Add(int64(-n)) < 0 {
		return 0, errUpgradeSize
	}
	return n, err
}

// webSocket is a WebSocket as the stream of bytes that MQTT runs on. One goroutine
// reads; the client writes from two and sets deadlines from either.
type webSocket struct {
	ws *websocket.Conn

	message io.Reader // owned by Read: what is left of the current message

	wmu sync.Mutex // held while a message is written

	dmu     sync.Mutex
	writeBy time.Time // zero for none
}

var _ net.Conn = (*webSocket)(nil)

// Read reads bytes of the hub's messages, whatever their boundaries.
func (c *webSocket) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if err := c.nextMessage(); err != nil {
			return 0, err
		}
		n, err := c.message.Read(p)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// nextMessage waits for a message unless there is one already.
func (c *webSocket) nextMessage() error {
	if c.message != nil {
		return nil
	}
	kind, message, err := c.ws.NextReader()
	if err != nil {
		return err
	}
	if kind != websocket.BinaryMessage { // MQTT-6.0.0-1
		return errNotBinary
	}
	c.message = message
	return nil
}

// Write sends p as one binary message.
func (c *webSocket) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.dmu.Lock()
	by := c.writeBy
	c.dmu.Unlock()
	_ = c.ws.SetWriteDeadline(by) // gorilla sets it again for each frame, none if it has none
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close says so to the hub, if that takes no longer than closeTime, and closes.
func (c *webSocket) Close() error {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(closeTime))
	return c.ws.Close()
}

// LocalAddr is the near end's.
func (c *webSocket) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the far end's: the proxy's if there is one.
func (c *webSocket) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *webSocket) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds Read.
func (c *webSocket) SetReadDeadline(t time.Time) error { return c.ws.SetReadDeadline(t) }

// SetWriteDeadline bounds Write, a running one, too.
func (c *webSocket) SetWriteDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.writeBy = t
	return c.ws.NetConn().SetWriteDeadline(t)
}

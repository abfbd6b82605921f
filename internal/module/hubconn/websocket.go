package hubconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/contract/reason"
)

const (
	webSocketPath     = "/$iothub/websocket" // the edge hub accepts any
	webSocketProtocol = "mqtt"
	maxUpgrade        = 64 << 10    // bytes of the answer to the handshake
	bufferSize        = 4 << 10     // bytes, for reading and for writing
	pongTimeout       = time.Second // for a pong; the hub may not read
	closeTimeout      = time.Second // for a Close frame
)

var errUpgradeChoice = errors.New("the server did not select subprotocol mqtt without extensions")

// upgrade does the WebSocket handshake for MQTT (MQTT 3.1.1, section 6) on a connection
// that has TLS already. The caller closes conn when ctx ends. Paho's own function is not
// used: it dials by Go's default proxies and without ctx, reads an answer of any size, and
// has a data race on its deadline.
func upgrade(ctx context.Context, conn net.Conn, server string) (net.Conn, error) {
	handshake := wsstream.NewHandshake(conn, maxUpgrade)
	dialer := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			return wsstream.NewAnswer(handshake, bufferSize), nil
		},
		Subprotocols:    []string{webSocketProtocol},
		ReadBufferSize:  bufferSize,
		WriteBufferSize: bufferSize,
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
	handshake.Complete()
	// Messages are streamed, so there is no limit of their size.
	return wsstream.New(ws, wsstream.Options{PongTimeout: pongTimeout, CloseTimeout: closeTimeout}), nil
}

package rtsptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/gorilla/websocket"
)

// localhost is what players ask for on a WebSocket, which has one stream.
const localhost = "rtsp://localhost"

// PullWebSocket is Pull by RTSP over a WebSocket with the subprotocol "binary", as Video
// Analyzer's player opens it: the requests are for rtsp://localhost. The URL has the form
// ws://host:port/path; header may be nil, and carries a login that the URL does not. An error
// of the dial has the answer's status and not the URL, which may hold a token.
func PullWebSocket(ctx context.Context, rawURL string, header http.Header, frames int) (Pulled, error) {
	if frames < 1 {
		return Pulled{}, fmt.Errorf("pull %d frames: at least one", frames)
	}
	u, err := base.ParseURL(localhost)
	if err != nil {
		return Pulled{}, err
	}
	start := time.Now()
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, Subprotocols: []string{"binary"}}
	ws, answer, err := dialer.DialContext(ctx, rawURL, header)
	switch {
	case err != nil && ctx.Err() != nil:
		return Pulled{}, fmt.Errorf("dial: %w", context.Cause(ctx))
	case err != nil && answer != nil:
		answer.Body.Close()
		return Pulled{}, fmt.Errorf("dial: the answer has status %d", answer.StatusCode)
	case err != nil:
		return Pulled{}, errors.New("dial: no WebSocket")
	}
	return pull(ctx, u, &socket{Conn: ws}, newCollector(start, frames))
}

// socket is a WebSocket as a stream of bytes. It is not the gateway's own, which the tests
// judge.
type socket struct {
	*websocket.Conn
	message io.Reader // what is left of it
}

var _ net.Conn = (*socket)(nil)

func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, message, err := s.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a text message among RTSP's")
			}
			s.message = message
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *socket) Write(p []byte) (int, error) {
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

package wsstream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/wsstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	maxMessage = 1 << 20
	timeout    = 5 * time.Second // for a Close frame; the peer reads it
)

// pair returns a stream and the WebSocket of its peer.
func pair(t *testing.T) (*wsstream.Conn, *websocket.Conn) {
	t.Helper()
	opened := make(chan *websocket.Conn, 1)
	upgrader := websocket.Upgrader{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			close(opened)
			return
		}
		opened <- ws
	}))
	t.Cleanup(srv.Close)
	peer, answer, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	t.Cleanup(func() { peer.Close() })
	ws, ok := <-opened
	if !ok {
		t.FailNow()
	}
	c := wsstream.New(ws, wsstream.Options{MaxMessage: maxMessage, PongTimeout: timeout, CloseTimeout: timeout})
	t.Cleanup(func() { c.NetConn().Close() })
	return c, peer
}

// Bytes pass both ways between two streams, whatever the boundaries of messages.
func TestConn(t *testing.T) {
	t.Parallel()
	c, ws := pair(t)
	peer := wsstream.New(ws, wsstream.Options{CloseTimeout: timeout})
	want := strings.Repeat("0123456789", 20_000)
	for _, way := range []struct{ from, to *wsstream.Conn }{{c, peer}, {peer, c}} {
		go func() {
			for rest := []byte(want); len(rest) > 0; {
				n := min(7777, len(rest))
				if _, err := way.from.Write(rest[:n]); err != nil {
					return // the reader gets too little
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(way.to, got); err != nil || string(got) != want {
			t.Errorf("%d bytes differ, %v", len(got), err)
		}
	}
	go c.Close()
	if _, err := peer.Read(make([]byte, 1)); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the end: %v", err)
	}
	peer.Close()
}

// The peer learns by the close code why its message ended the connection.
func TestConn_closeCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    int
		message []byte
		code    int
	}{
		"text":      {websocket.TextMessage, []byte("x"), websocket.CloseUnsupportedData},
		"too large": {websocket.BinaryMessage, bytes.Repeat([]byte("x"), maxMessage+1), websocket.CloseMessageTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream, peer := pair(t)
			go peer.WriteMessage(c.kind, c.message) //nolint:errcheck // it may be cut
			ended := make(chan error, 1)
			go func() { _, err := io.Copy(io.Discard, stream); ended <- err }()
			if _, _, err := peer.ReadMessage(); !websocket.IsCloseError(err, c.code) {
				t.Errorf("the peer got %v, want %d", err, c.code)
			}
			if err := <-ended; err == nil {
				t.Error("Read has no error")
			}
		})
	}
}

// Pings are answered while a Read runs.
func TestConn_pong(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	pong := make(chan string, 1)
	peer.SetPongHandler(func(data string) error { pong <- data; return peer.Close() })
	var ends [2]chan error
	for i := range ends {
		ends[i] = make(chan error, 1)
	}
	go func() { _, err := io.Copy(io.Discard, c); ends[0] <- err }()
	go func() { _, _, err := peer.NextReader(); ends[1] <- err }()
	if err := peer.WriteControl(websocket.PingMessage, []byte("hello"), time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	if got := <-pong; got != "hello" {
		t.Errorf("pong %q", got)
	}
	for _, end := range ends {
		if err := <-end; err == nil {
			t.Error("a Read ended without an error")
		}
	}
}

// A Handshake delivers as many bytes as allowed, and any number when it is complete.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		complete bool
		size     int
		want     error
	}{
		"within the limit": {false, 100, io.EOF},
		"beyond the limit": {false, 101, wsstream.ErrHandshakeSize},
		"complete":         {true, 100_000, nil},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			h := wsstream.NewHandshake(near, 100)
			if c.complete {
				h.Complete()
			}
			go func() {
				_, _ = far.Write(make([]byte, c.size)) // may be cut
				far.Close()
			}()
			got, err := io.ReadAll(h)
			near.Close()
			if beyond := errors.Is(c.want, wsstream.ErrHandshakeSize); errors.Is(err, wsstream.ErrHandshakeSize) != beyond || !beyond && len(got) != c.size {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if !errors.Is(h.Err(), c.want) {
				t.Errorf("Err is %v, want %v", h.Err(), c.want)
			}
		})
	}
}

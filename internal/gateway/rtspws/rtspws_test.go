package rtspws_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/rtspws"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opening returns the WebSocket of a viewer whose request waits for its stream, and a
// function that reports whether it still waits. The other tests of the output are rtspout's.
func opening(t *testing.T, ping, silence time.Duration) (ws *websocket.Conn, waiting func() bool) {
	t.Helper()
	asked := make(chan struct{})
	front := stream.New(stream.Options{Name: "edge1/front", Open: func(ctx context.Context, _ func(*media.Unit), _ func(failure.Hop)) (stream.Session, error) {
		close(asked)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}})
	server, err := rtspout.New(rtspout.Options{
		Find: func(context.Context, string) (*stream.Stream, error) { return front, nil },
		Authorize: func(rtspout.Login, string) (rtspout.Principal, error) {
			return rtspout.Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := rtspws.New(rtspws.Options{
		RTSP: server, Viewers: viewer.New(viewer.Limits{}), Current: func(p access.Principal) (access.Principal, error) { return p, nil },
	})
	out.SetTimes(ping, silence)
	var serving sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		out.ServeLive(w, r, live.Request{
			Camera: "edge1/front", Stream: "main", From: netip.MustParseAddr("127.0.0.1"),
			Principal: access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"*"}},
		})
	}))
	t.Cleanup(func() {
		server.Shutdown(t.Context())
		srv.Close()
		serving.Wait()
		front.Close(nil)
	})
	ws, answer, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	t.Cleanup(func() { ws.Close() })
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("DESCRIBE rtsp://localhost RTSP/1.0\r\nCSeq: 1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	<-asked
	return ws, func() bool { return front.State().Readers == 1 }
}

// Pings keep a connection on which nothing else happens.
func TestServeLive_pings(t *testing.T) {
	const silence = 500 * time.Millisecond
	ws, waiting := opening(t, silence/10, silence)
	began, pings := time.Now(), 0
	ws.SetPingHandler(func(data string) error {
		pings++
		if time.Since(began) > 3*silence {
			_ = ws.SetReadDeadline(time.Now())
		}
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Minute))
	})
	_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
	_, _, err := ws.ReadMessage()
	if pings < 10 || !waiting() {
		t.Errorf("%d pings, then %v", pings, err)
	}
}

// A client that answers no ping is gone.
func TestServeLive_silent(t *testing.T) {
	const silence = 100 * time.Millisecond
	ws, waiting := opening(t, silence/4, silence)
	ws.SetPingHandler(func(string) error { return nil })
	_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
	var err error
	for err == nil { // the request has an answer
		_, _, err = ws.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the connection ends with %v", err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for waiting() {
		<-tick.C
	}
}

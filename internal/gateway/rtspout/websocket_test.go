package rtspout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/rtspws"
	"rtsptunnel/internal/gateway/viewer"
	"rtsptunnel/internal/testkit/rtsptest"
)

// sockets is a gateway's WebSocket output of "edge1/front". The tests are here because
// rtspout's clients, feeds and times are.
type sockets struct {
	*gateway
	url string // ws://…

	mu      sync.Mutex
	current error // of the principal
}

// viewing is who watches in these tests.
var viewing = access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"*"}}

func newSockets(t *testing.T, g *gateway, p access.Principal, limits viewer.Limits) *sockets {
	t.Helper()
	s := &sockets{gateway: g}
	out := rtspws.New(rtspws.Options{RTSP: g.Server, Viewers: viewer.New(limits), Current: s.judge})
	var serving sync.WaitGroup
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		out.ServeLive(w, r, live.Request{
			Camera: "edge1/front", Stream: "main", Title: "Front", Principal: p, From: netip.MustParseAddr("127.0.0.1"),
		})
	}))
	t.Cleanup(func() {
		g.Shutdown(t.Context())
		srv.Close()
		serving.Wait()
	})
	s.url = "ws" + strings.TrimPrefix(srv.URL, "http") + "/live/edge1/front/rtsp"
	return s
}

func (s *sockets) judge(p access.Principal) (access.Principal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p, s.current
}

// revoke makes all later judgements of the principal fail.
func (s *sockets) revoke(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = err
}

// open returns the WebSocket of a new player.
func (s *sockets) open(t *testing.T, query string) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"binary"}}
	ws, answer, err := dialer.DialContext(t.Context(), s.url+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	t.Cleanup(func() { ws.Close() })
	if got := ws.Subprotocol(); got != "binary" {
		t.Errorf("subprotocol %q", got)
	}
	return ws
}

// player returns a client on a new WebSocket.
func (s *sockets) player(t *testing.T, query string) *rawClient {
	t.Helper()
	return newRawClient(t, wsstream.New(s.open(t, query), wsstream.Options{CloseTimeout: time.Second}))
}

// wantCode reads until the WebSocket's end and checks its code.
func wantCode(t *testing.T, ws *websocket.Conn, code int, text string) {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		_, _, err := ws.ReadMessage()
		if err == nil {
			continue
		}
		closed, ok := errors.AsType[*websocket.CloseError](err)
		if !ok || closed.Code != code || closed.Text != text {
			t.Errorf("the end is %v, want code %d and text %q", err, code, text)
		}
		return
	}
}

// A client of another library reads all pictures from the newest key frame on.
func TestWebSocket_pull(t *testing.T) {
	e, units := clipUnits(t, 60)
	f := newFeed(t, e)
	f.put(units...)
	f.keep(t)
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	pulled, err := rtsptest.PullWebSocket(ctx, s.url+"?token=x", nil, 10) // the ring ends with 50 to 59
	if err != nil {
		t.Fatal(err)
	}
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	for i, au := range pulled.AccessUnits {
		if want := clip[(50+i)%len(clip)]; fmt.Sprint(au) != fmt.Sprint(want) {
			t.Fatalf("picture %d is not the stream's", i)
		}
	}
	s.log.AwaitFields(t, 1, "message=viewer ended", "camera=edge1/front", "stream=main", "user=wall")
}

// Video Analyzer's player asks for rtsp://localhost, with changing paths, and without a login.
func TestWebSocket_player(t *testing.T) {
	f, first, second := front(t)
	f.keep(t)
	g := newGateway(t, f, nil)
	s := newSockets(t, g, viewing, viewer.Limits{})
	c := s.player(t, "?authorization=x")
	c.want(c.do("OPTIONS", "rtsp://localhost"), 200)
	described := c.want(c.do("DESCRIBE", "rtsp://localhost"), 200)
	if got := described.Header["Content-Base"]; len(got) != 1 || got[0] != "rtsp://localhost/" {
		t.Errorf("Content-Base %q", got)
	}
	session := sessionID(c.want(c.do("SETUP", "rtsp://localhost/trackID=0", transport), 200))
	c.send("PLAY", "rtsp://localhost/", "Session: "+session)
	play := c.want(c.next(), 200)
	if got := strings.Join(play.Header["RTP-Info"], ""); !strings.HasPrefix(got, "url=rtsp://localhost/trackID=0;seq=0;") {
		t.Errorf("RTP-Info %q", got)
	}
	p, reports := c.unit(0, first)
	checkReport(t, f.epoch, reports, p)
	f.put(second)
	c.unit(0, second)

	list := g.Viewers()
	if len(list) != 1 || list[0].Output != "rtsp-ws" || list[0].Camera != "edge1/front" || list[0].Stream != "main" ||
		list[0].Principal != "wall" || !strings.HasPrefix(list[0].RemoteAddr, "127.0.0.1:") || list[0].Bytes == 0 {
		t.Errorf("viewers: %+v", list)
	}
	if over, direct := g.Count("rtsp-ws"), g.Count("rtsp"); over.Players != 1 || over.Bytes == 0 || direct != (rtspout.Totals{}) {
		t.Errorf("counted: %+v, directly %+v", over, direct)
	}
	c.want(c.do("TEARDOWN", "rtsp://localhost/", "Session: "+session), 200)
	f.awaitReaders(t, 1)
}

// The connection has its camera's stream, whatever a request asks for.
func TestWebSocket_otherCamera(t *testing.T) {
	f, first, _ := front(t)
	f.keep(t)
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	for _, url := range []string{"rtsp://h/edge1/secret", "rtsp://h/a/b/c/d/e?token=other&start=live", "rtsp://h/edge1/front%2F..%2Fsecret"} {
		c := s.player(t, "")
		c.play(url)
		c.unit(0, first)
	}
	for _, v := range s.Viewers() {
		if v.Camera != "edge1/front" {
			t.Errorf("%+v", v)
		}
	}
}

// ?start=key begins with the next key frame; else the kept pictures come at once.
func TestWebSocket_start(t *testing.T) {
	e, units := clipUnits(t, 51)
	f := newFeed(t, e)
	f.put(units[:30]...) // a key frame is 25
	f.keep(t)
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	now, later := s.player(t, ""), s.player(t, "?start=key")
	now.play("rtsp://localhost")
	later.play("rtsp://localhost")
	for _, u := range units[25:30] {
		now.unit(0, u)
	}
	f.put(units[30:]...)
	later.unit(0, units[50])
}

// The close code tells a player why it ends, and whether to come back.
func TestWebSocket_codes(t *testing.T) {
	denied := failure.New(failure.Viewer, reason.AccessDenied, nil)
	for name, c := range map[string]struct {
		end  func(s *sockets, f *feed)
		code int
		text reason.Code
	}{
		"disconnected": {func(s *sockets, _ *feed) {
			s.Disconnect(s.Viewers()[0].ID, failure.New(failure.Viewer, reason.ViewerClosed, nil))
		}, websocket.CloseInternalServerErr, reason.ViewerClosed},
		"no longer allowed": {func(s *sockets, _ *feed) {
			s.Review(func(p rtspout.Principal, camera string) error {
				if p.Value.(access.Principal).Name != "wall" || camera != "edge1/front" {
					return nil
				}
				return denied
			})
		}, websocket.ClosePolicyViolation, reason.AccessDenied},
		"drained":      {func(s *sockets, _ *feed) { s.Shutdown(context.Background()) }, websocket.CloseGoingAway, reason.ShuttingDown},
		"camera ended": {func(_ *sockets, f *feed) { f.Close(nil) }, websocket.CloseInternalServerErr, reason.StreamClosed},
	} {
		t.Run(name, func(t *testing.T) {
			f, first, _ := front(t)
			f.keep(t)
			s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
			ws := s.open(t, "")
			player := newRawClient(t, wsstream.New(ws, wsstream.Options{CloseTimeout: time.Second}))
			player.play("rtsp://localhost")
			player.unit(0, first)
			c.end(s, f)
			wantCode(t, ws, c.code, string(c.text))
		})
	}
	t.Run("expired", func(t *testing.T) {
		f, _, _ := front(t)
		f.keep(t)
		p := viewing
		p.Expires = time.Now().Add(time.Second)
		s := newSockets(t, newGateway(t, f, nil), p, viewer.Limits{})
		ws := s.open(t, "")
		newRawClient(t, wsstream.New(ws, wsstream.Options{CloseTimeout: time.Second})).play("rtsp://localhost")
		wantCode(t, ws, websocket.ClosePolicyViolation, string(reason.AccessExpired))
	})
	t.Run("drained before play", func(t *testing.T) {
		s := newSockets(t, newGateway(t, nil, nil), viewing, viewer.Limits{})
		ws := s.open(t, "")
		await(t, func() bool { return s.Counters().Connections == 1 })
		s.Shutdown(t.Context())
		wantCode(t, ws, websocket.CloseGoingAway, string(reason.ShuttingDown))
		wantCode(t, s.open(t, ""), websocket.CloseGoingAway, string(reason.ShuttingDown))
	})
}

// A token that is removed between two requests ends the login of the connection.
func TestWebSocket_revoked(t *testing.T) {
	f, _, _ := front(t)
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	c := s.player(t, "")
	c.want(c.do("DESCRIBE", "rtsp://localhost"), 200)
	s.revoke(failure.New(failure.Viewer, reason.AccessLogin, nil))
	c.want(c.do("SETUP", "rtsp://localhost/trackID=0", transport), 401)
	c.want(c.do("DESCRIBE", "rtsp://localhost"), 401)
	c.send("DESCRIBE", "rtsp://localhost")
	c.want(c.answer(), 401)
	c.wantClosed()
}

// Connections count for the limits of an address and of the server.
func TestWebSocket_limits(t *testing.T) {
	f, _, _ := front(t)
	f.keep(t)
	g := newGateway(t, f, func(o *rtspout.Options) {
		o.Limits.Connections, o.Acquire = 2, acquire(viewer.Limits{Total: 1})
	})
	s := newSockets(t, g, viewing, viewer.Limits{PerAddress: 3})
	first := s.player(t, "")
	first.play("rtsp://localhost")
	second := s.player(t, "")
	if res := second.want(second.do("DESCRIBE", "rtsp://localhost"), base.StatusNotEnoughBandwidth); !strings.HasPrefix(res.Header["X-Reason"][0], "gateway; LIMIT_VIEWERS;") {
		t.Errorf("X-Reason %q", res.Header["X-Reason"])
	}
	third := s.open(t, "")
	wantCode(t, third, websocket.CloseTryAgainLater, string(reason.LimitConnections))

	s = newSockets(t, newGateway(t, nil, nil), viewing, viewer.Limits{PerAddress: 1})
	fourth := s.open(t, "")
	ws, answer, err := websocket.DefaultDialer.DialContext(t.Context(), s.url, nil)
	if err == nil {
		ws.Close()
		t.Fatal("a second connection of the address opens")
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d, %v", answer.StatusCode, answer.Header)
	}
	fourth.Close()
}

// A request that opens no WebSocket gets a problem document.
func TestWebSocket_noUpgrade(t *testing.T) {
	s := newSockets(t, newGateway(t, nil, nil), viewing, viewer.Limits{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http"+strings.TrimPrefix(s.url, "ws"), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != http.StatusBadRequest || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d, %v", res.StatusCode, res.Header)
	}
}

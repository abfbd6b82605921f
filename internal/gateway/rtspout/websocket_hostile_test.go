package rtspout_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/viewer"
)

// What a hostile client sends ends its WebSocket with a code that says so.
func TestWebSocket_hostile(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, nil, rtspout.Times{Request: brief})
	s := newSockets(t, g, viewing, viewer.Limits{})
	send := func(kind int, data string) func(*testing.T, *websocket.Conn) {
		return func(t *testing.T, ws *websocket.Conn) {
			t.Helper()
			_ = ws.WriteMessage(kind, []byte(data)) // the server may end it meanwhile
		}
	}
	for name, c := range map[string]struct {
		act  func(*testing.T, *websocket.Conn)
		code int
	}{
		"text":         {send(websocket.TextMessage, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), websocket.CloseUnsupportedData},
		"huge message": {send(websocket.BinaryMessage, strings.Repeat("x", 1<<20)), websocket.CloseMessageTooBig},
		"garbage":      {send(websocket.BinaryMessage, strings.Repeat("\x00\xff\x16\x03", 1000)), websocket.CloseNormalClosure},
		"HTTP":         {send(websocket.BinaryMessage, "GET / HTTP/1.1\r\n\r\n"), websocket.CloseNormalClosure},
		"half request": {send(websocket.BinaryMessage, "DESCRIBE rtsp://localhost RTSP/1.0\r\nCSeq: 1\r\n"), websocket.CloseNormalClosure},
		"silence":      {func(*testing.T, *websocket.Conn) {}, websocket.CloseNormalClosure},
		"no end":       {send(websocket.BinaryMessage, "OPTIONS * RTSP/1.0\r\n"+strings.Repeat("A: b\r\n", 20_000)), websocket.CloseNormalClosure},
	} {
		t.Run(name, func(t *testing.T) {
			ws := s.open(t, "")
			c.act(t, ws)
			wantCode(t, ws, c.code, "")
		})
	}
	await(t, func() bool { return g.Counters().Connections == 0 })
}

// Bytes in any pieces are a request.
func TestWebSocket_pieces(t *testing.T) {
	s := newSockets(t, newGateway(t, nil, nil), viewing, viewer.Limits{})
	ws := s.open(t, "")
	text := "OPTIONS rtsp://localhost RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	for _, b := range []byte(text) {
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	c := newRawClient(t, wsstream.New(ws, wsstream.Options{CloseTimeout: time.Second}))
	c.want(c.answer(), 200)
	if _, err := io.WriteString(c, text+text+text); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.want(c.answer(), 200)
	}
}

// A handshake that does not complete holds nothing of the RTSP server.
func TestWebSocket_halfHandshake(t *testing.T) {
	g := newGateway(t, nil, nil)
	s := newSockets(t, g, viewing, viewer.Limits{PerAddress: 1})
	address, _, _ := strings.Cut(strings.TrimPrefix(s.url, "ws://"), "/")
	head := "GET /live/edge1/front/rtsp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	for _, text := range []string{head[:50], head, head + "\x82"} { // cut off, closed, with early bytes
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, text)
		nc.Close()
	}
	await(t, func() bool { return g.Counters().Connections == 0 })
	var ws *websocket.Conn
	await(t, func() bool { // until the place of the address is free
		opened, answer, err := websocket.DefaultDialer.DialContext(t.Context(), s.url, nil)
		if answer != nil {
			answer.Body.Close()
		}
		ws = opened
		return err == nil
	})
	ws.Close()
}

// A viewer that does not read is ended, and another one gets every unit.
func TestWebSocket_stalls(t *testing.T) {
	e, units := clipUnits(t, 1)
	f := newFeed(t, e)
	f.put(units...)
	f.keep(t)
	g := newGateway(t, f, nil, rtspout.Times{Stall: time.Second})
	s := newSockets(t, g, viewing, viewer.Limits{})
	stalled, reader := s.player(t, ""), s.player(t, "")
	stalled.play("rtsp://localhost")
	reader.play("rtsp://localhost")
	for i := range 1000 { // more than the sockets' buffers hold
		u := bigUnit(e, i)
		f.put(u)
		for p, _ := reader.rtpPacket(0); p.SequenceNumber != uint16(u.Seq); p, _ = reader.rtpPacket(0) {
			if i > 0 || p.SequenceNumber > uint16(u.Seq) { // the first picture has several
				t.Fatalf("number %d, want %d", p.SequenceNumber, u.Seq)
			}
		}
	}
	g.log.AwaitFields(t, 1, "message=viewer ended", "hop=viewer", "reason=VIEWER_STALLED")
	f.awaitReaders(t, 2)
}

// One address opens many WebSockets: those above its limit are refused, those that do not log
// on to a stream end, and a player of another address plays on.
func TestWebSocket_manySockets(t *testing.T) {
	f, first, second := front(t)
	f.keep(t)
	g := newGateway(t, f, nil, rtspout.Times{Request: brief})
	s := newSockets(t, g, viewing, viewer.Limits{PerAddress: 50})
	tcp := g.dial(t)
	tcp.play(g.url("?token=rtt_wall&start=live"))
	tcp.unit(0, first)

	const n, atOnce = 1000, 20
	var mu sync.Mutex
	opened, refused := 0, 0
	var dials sync.WaitGroup
	for range atOnce {
		dials.Go(func() {
			for range n / atOnce {
				ws, answer, err := websocket.DefaultDialer.DialContext(t.Context(), s.url, nil)
				mu.Lock()
				switch {
				case err == nil:
					opened++
					t.Cleanup(func() { ws.Close() })
				case answer != nil && answer.StatusCode == 429:
					refused++
				default:
					t.Error(err)
				}
				mu.Unlock()
				if answer != nil {
					answer.Body.Close()
				}
			}
		})
	}
	dials.Wait()
	if opened+refused != n || opened < 50 {
		t.Errorf("%d opened, %d refused", opened, refused)
	}
	await(t, func() bool { return g.Counters().Connections == 1 })
	f.put(second)
	tcp.unit(0, second)
}

// A message of the player's own WebSocket that is not RTSP, after PLAY, does not delay media:
// receiver reports are dropped, as over TCP.
func TestWebSocket_reports(t *testing.T) {
	f, first, second := front(t)
	f.keep(t)
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	c := s.player(t, "")
	session, _ := c.play("rtsp://localhost")
	c.unit(0, first)
	if _, err := fmt.Fprintf(c, "$\x01\x00\x04abcd"); err != nil {
		t.Fatal(err)
	}
	f.put(second)
	c.unit(0, second)
	c.want(c.do("GET_PARAMETER", "rtsp://localhost/", "Session: "+session), 200)
}

// A player that leaves while its stream opens ends the opening.
func TestWebSocket_leavesWhileOpening(t *testing.T) {
	f := newFeed(t, nil)
	f.block = make(chan struct{})
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	c := s.player(t, "")
	c.send("DESCRIBE", "rtsp://localhost")
	f.awaitReaders(t, 1)
	c.Close()
	f.awaitReaders(t, 0)
}

// The connection survives the look-out for a player that leaves: its read deadline ends a
// WebSocket for good.
func TestWebSocket_waitsForTheStream(t *testing.T) {
	f, first, _ := front(t)
	f.block = make(chan struct{})
	s := newSockets(t, newGateway(t, f, nil), viewing, viewer.Limits{})
	c := s.player(t, "")
	c.send("DESCRIBE", "rtsp://localhost")
	f.awaitOpening(t, 1)
	close(f.block)
	c.want(c.answer(), 200)
	session := sessionID(c.want(c.do("SETUP", "rtsp://localhost/trackID=0", transport), 200))
	c.send("PLAY", "rtsp://localhost/", "Session: "+session)
	c.want(c.next(), 200)
	c.unit(0, first)
}

package wsconn_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is the server's end of a WebSocket under test: a gorilla connection.
type far struct {
	*websocket.Conn
	header http.Header
}

// dial starts a TLS server and opens a WebSocket to it.
func dial(t *testing.T) (*wsconn.Conn, far) {
	t.Helper()
	ends := make(chan far, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		ends <- far{ws, r.Header}
	}))
	t.Cleanup(srv.Close)
	c, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), http.Header{"Authorization": {"Bearer x"}})
	if err != nil {
		t.Fatal(err)
	}
	f := <-ends
	t.Cleanup(func() { c.Close(); f.Close() })
	return c, f
}

func roots(srv *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return pool
}

func wss(srv *httptest.Server) *url.URL { return parsed("wss" + strings.TrimPrefix(srv.URL, "https")) }

// parsed is a URL that a test has written.
func parsed(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// Both ends are Conns over TLS. Each sends more bytes than the buffers hold.
func TestConn_isByteExactBothWays(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}))
	defer srv.Close()
	near, err := wsconn.Dialer{Roots: roots(srv)}.Dial(t.Context(), wss(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	far := <-accepted
	up, down := make([]byte, 3<<20+1), make([]byte, 2<<20+7)
	_, _ = rand.Read(up)
	_, _ = rand.Read(down)

	var all sync.WaitGroup
	var gotUp, gotDown []byte
	var errUp, errDown, errWrite error
	send := func(c net.Conn, b []byte) {
		if _, err := c.Write(b); err != nil {
			t.Error(err)
		}
		if err := c.(*wsconn.Conn).CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	all.Go(func() { gotUp, errUp = io.ReadAll(io.LimitReader(far, int64(len(up)))) })
	all.Go(func() { gotDown, errDown = io.ReadAll(io.LimitReader(near, int64(len(down)))) })
	all.Go(func() { _, errWrite = near.Write(up) })
	send(far, down)
	all.Wait()
	if !bytes.Equal(gotUp, up) || !bytes.Equal(gotDown, down) || errors.Join(errUp, errDown, errWrite) != nil {
		t.Errorf("received %d of %d and %d of %d bytes, %v", len(gotUp), len(up), len(gotDown), len(down), errors.Join(errUp, errDown, errWrite))
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the peer's Close: %v, want EOF", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after the peer's Close: %v, want io.ErrClosedPipe", err)
	}
	near.Close()
	far.Close()
}

// Message boundaries and types are ignored, and so are empty messages.
func TestRead_ignoresBoundariesAndTypes(t *testing.T) {
	c, f := dial(t)
	for _, m := range []struct {
		kind int
		data string
	}{{websocket.TextMessage, "ab"}, {websocket.BinaryMessage, ""}, {websocket.BinaryMessage, "cde"}} {
		if err := f.WriteMessage(m.kind, []byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "abcde" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestWrite_cutsFramesAt64KiB(t *testing.T) {
	c, f := dial(t)
	sent := make(chan error, 1)
	go func() { _, err := c.Write(make([]byte, 200<<10)); sent <- err }()
	total := 0
	for total < 200<<10 {
		kind, data, err := f.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind != websocket.BinaryMessage || len(data) > 64<<10 {
			t.Fatalf("message of type %d with %d bytes", kind, len(data))
		}
		total += len(data)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestRead_answersPings(t *testing.T) {
	c, f := dial(t)
	pong := make(chan string, 1)
	f.SetPongHandler(func(data string) error { pong <- data; return nil })
	var readers sync.WaitGroup
	readers.Go(func() { _, _ = c.Read(make([]byte, 1)) })
	readers.Go(func() { _, _, _ = f.ReadMessage() })
	if err := f.WriteControl(websocket.PingMessage, []byte("are you there"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := <-pong; got != "are you there" {
		t.Errorf("pong %q", got)
	}
	c.Close()
	f.Close()
	readers.Wait()
}

// A ping that arrives while a write is blocked does not block the reader: later data of the
// peer is delivered. The pong is sent when the peer reads again.
func TestRead_goesOnWhileAWriteIsBlocked(t *testing.T) {
	c, f := dial(t)
	const volume = 64 << 20 // more than sockets buffer
	written := make(chan error, 1)
	progress := make(chan struct{}, volume>>16)
	go func() {
		for range volume >> 16 {
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				written <- err
				return
			}
			progress <- struct{}{}
		}
		written <- nil
	}()
	untilBlocked(t, progress)
	if err := f.WriteControl(websocket.PingMessage, []byte("p"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteMessage(websocket.BinaryMessage, []byte("after the ping")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 14)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "after the ping" {
		t.Fatalf("read %q, %v", got, err)
	}
	pong := make(chan struct{}, 1)
	f.SetPongHandler(func(string) error { pong <- struct{}{}; return nil })
	for {
		_, _, err := f.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-pong:
			c.Close()
			if err := <-written; err == nil {
				t.Error("64 MiB were written to a peer that had not read them")
			}
			return
		default:
		}
	}
}

func TestCloseCause_tellsThePeerWhy(t *testing.T) {
	for _, c := range []struct {
		cause error
		code  int
		text  string
	}{
		{nil, websocket.CloseNormalClosure, ""},
		{reason.New(reason.ShuttingDown, nil), websocket.CloseGoingAway, "SHUTTING_DOWN"},
		{reason.New(reason.Disabled, nil), websocket.ClosePolicyViolation, "DISABLED"},
		{reason.New(reason.PolicyRemote, errors.New("gw.example.com")), websocket.ClosePolicyViolation, "POLICY_REMOTE"},
		{reason.New(reason.CameraRemoved, nil), websocket.ClosePolicyViolation, "CAM_REMOVED"},
		{reason.New(reason.CameraChanged, nil), websocket.ClosePolicyViolation, "CAM_CHANGED"},
		{reason.New(reason.CameraDisabled, nil), websocket.ClosePolicyViolation, "CAM_DISABLED"},
		{errors.New("read tcp 10.0.0.21:554: connection reset"), websocket.CloseInternalServerErr, "INTERNAL"},
		{reason.New(reason.CameraLost, errors.New("10.0.0.21")), websocket.CloseInternalServerErr, "CAM_LOST"},
	} {
		conn, f := dial(t)
		if err := conn.CloseCause(c.cause); err != nil {
			t.Error(err)
		}
		_, _, err := f.ReadMessage()
		got, ok := errors.AsType[*websocket.CloseError](err)
		if !ok || got.Code != c.code || got.Text != c.text {
			t.Errorf("cause %v: the peer read %v, want code %d %q", c.cause, err, c.code, c.text)
		}
	}
}

// Peers rely on these codes: a new reason code must not change them.
func TestCloseCode_ofEveryReason(t *testing.T) {
	want := map[reason.Code]int{
		reason.ShuttingDown:   1001,
		reason.Disabled:       1008,
		reason.PolicyRemote:   1008,
		reason.CameraRemoved:  1008,
		reason.CameraChanged:  1008,
		reason.CameraDisabled: 1008,
		reason.LimitIdle:      1008,
		reason.LimitAge:       1008,
	}
	for _, why := range reason.Codes() {
		if want[why] == 0 {
			want[why] = 1011
		}
		code, text := wsconn.CloseCode(fmt.Errorf("relay: %w", reason.New(why, errors.New("10.0.0.21"))))
		if code != want[why] || text != string(why) {
			t.Errorf("%s: Close %d %q, want %d", why, code, text, want[why])
		}
	}
	for _, c := range []struct {
		cause error
		code  int
		text  string
	}{
		{nil, 1000, ""},
		{errors.New("read tcp 10.0.0.21:554: connection reset"), 1011, "INTERNAL"},
		{reason.New(reason.RemoteLost, wsconn.ErrProtocol), 1002, ""},
	} {
		if code, text := wsconn.CloseCode(c.cause); code != c.code || text != c.text {
			t.Errorf("%v: Close %d %q, want %d %q", c.cause, code, text, c.code, c.text)
		}
	}
}

func TestRead_tellsAnEndInOrderFromACut(t *testing.T) {
	for code, inOrder := range map[int]bool{1000: true, 1001: true, 1005: true, 1002: false, 1008: false, 1011: false, 4000: false} {
		c, f := dial(t)
		frame := websocket.FormatCloseMessage(code, "") // without a code for 1005
		if err := f.WriteControl(websocket.CloseMessage, frame, time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Read(make([]byte, 1))
		if errors.Is(err, io.EOF) != inOrder || !inOrder && reason.Of(err) != reason.RemoteLost {
			t.Errorf("code %d: %v", code, err)
		}
	}
	c, f := dial(t)
	f.Close() // no Close frame
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a cut reads as %v", err)
	}
}

func TestDial_sendsTheHeaderAndOffersNothing(t *testing.T) {
	_, f := dial(t)
	if got := f.header.Get("Authorization"); got != "Bearer x" {
		t.Errorf("Authorization %q", got)
	}
	for _, field := range []string{"Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Origin", "Cookie"} {
		if got := f.header.Get(field); got != "" {
			t.Errorf("%s is %q, want none", field, got)
		}
	}
}

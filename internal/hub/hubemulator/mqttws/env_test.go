package mqttws_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator/mqttws"
)

// patience is how long a test waits for an expected event.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// server passes the connections of the handler to the test.
type server struct {
	*httptest.Server
	conns chan net.Conn
}

func start(t *testing.T) *server {
	t.Helper()
	s := &server{conns: make(chan net.Conn, 1)}
	s.Server = httptest.NewServer(mqttws.New(mqttws.Options{
		ServeConn: func(c net.Conn) error {
			s.conns <- c
			return nil
		},
		Next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Log:  zerolog.Nop(),
	}))
	t.Cleanup(s.Close)
	return s
}

// connect returns both ends of a WebSocket.
func connect(t *testing.T) (*peer, net.Conn) {
	t.Helper()
	s := start(t)
	p := s.dial(t)
	p.upgrade(t)
	conn := <-s.conns
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return p, conn
}

// peer is the client side of a WebSocket. It writes and reads the frames of RFC 6455.
type peer struct {
	net.Conn
	reader *bufio.Reader
}

func (s *server) dial(t *testing.T) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{Conn: conn, reader: bufio.NewReader(conn)}
}

// The example of RFC 6455, section 1.3.
const (
	handshake = "GET /$iothub/websocket HTTP/1.1\r\nHost: hub\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
	acceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func (p *peer) upgrade(t *testing.T) {
	t.Helper()
	p.send(t, []byte(handshake))
	response, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", response.StatusCode)
	}
	for name, want := range map[string]string{
		"Sec-WebSocket-Accept": acceptKey, "Sec-WebSocket-Protocol": "mqtt", "Sec-WebSocket-Extensions": "",
	} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func (p *peer) send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
}

// Opcodes, and the bit of the last frame of a message (RFC 6455, section 5.2).
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xA
	last       = 0x80
)

// frame returns a masked frame. head is the opcode, with or without last.
func frame(head byte, payload string) []byte {
	const mask = 0x80
	f := []byte{head}
	switch n := len(payload); {
	case n < 126:
		f = append(f, mask|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, mask|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, mask|127), uint64(n))
	}
	key := []byte{1, 2, 3, 4}
	f = append(f, key...)
	for i := range len(payload) {
		f = append(f, payload[i]^key[i%len(key)])
	}
	return f
}

// receive reads one frame of the server, which is not masked.
func (p *peer) receive(t *testing.T) (head byte, payload string) {
	t.Helper()
	var start [2]byte
	if _, err := io.ReadFull(p.reader, start[:]); err != nil {
		t.Fatal(err)
	}
	n := int64(start[1])
	switch n {
	case 126:
		n = int64(readUint[uint16](t, p.reader))
	case 127:
		n = int64(readUint[uint64](t, p.reader))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.reader, b); err != nil {
		t.Fatal(err)
	}
	return start[0], string(b)
}

func readUint[T uint16 | uint64](t *testing.T, r io.Reader) T {
	t.Helper()
	var n T
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// wantClose reads a Close frame and checks its code.
func (p *peer) wantClose(t *testing.T, code uint16) {
	t.Helper()
	head, payload := p.receive(t)
	if head != opClose|last || len(payload) < 2 || binary.BigEndian.Uint16([]byte(payload)) != code {
		t.Errorf("frame %#x %q, want Close with code %d", head, payload, code)
	}
}

func wantRead(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatalf("%v, after %d bytes", err, len(got))
	}
	if string(got) != want {
		t.Errorf("read %.40q, want %.40q", got, want)
	}
}

func await(t *testing.T, ended <-chan error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		t.Fatal("the call did not end")
		return nil
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func request(lines ...string) string {
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

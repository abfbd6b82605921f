package wsconn_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/wire/wsconn"
)

// acceptRaw returns the server's end of a WebSocket and the client's connection, on which the
// test reads and writes the frames.
func acceptRaw(t *testing.T) (*wsconn.Conn, net.Conn) {
	t.Helper()
	ends := make(chan *wsconn.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
		}
		ends <- c
	}))
	t.Cleanup(srv.Close)
	f, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{RootCAs: roots(srv), ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(f, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head, err := http.ReadResponse(bufio.NewReader(f), nil)
	if err != nil || head.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(head, err)
	}
	head.Body.Close()
	c := <-ends
	t.Cleanup(func() { c.Close(); f.Close() })
	return c, f
}

// masked is a client's frame: the mask is the letters of "mask".
func masked(first byte, payload string) string {
	b := []byte(payload)
	for i := range b {
		b[i] ^= "mask"[i%4]
	}
	return string([]byte{first, 0x80 | byte(len(b))}) + "mask" + string(b)
}

// A client's frames are unmasked, in reads of any size. Pings are answered.
func TestAccept_unmasksFrames(t *testing.T) {
	c, f := acceptRaw(t)
	if _, err := io.WriteString(f, masked(0x02, "01234")+masked(0x89, "ping")+masked(0x80, "56789")+masked(0x88, "\x03\xe8")); err != nil {
		t.Fatal(err)
	}
	var got []byte
	b := make([]byte, 3)
	for {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			if string(got) != "0123456789" || !errors.Is(err, io.EOF) {
				t.Errorf("read %q, %v", got, err)
			}
			break
		}
	}
	pong := make([]byte, 6)
	if _, err := io.ReadFull(f, pong); err != nil || string(pong) != "\x8a\x04ping" {
		t.Errorf("the ping was answered by %q, %v", pong, err)
	}
}

// A client that breaks the rules is closed with 1002 as a server is.
func TestAccept_protocolErrors(t *testing.T) {
	for name, bad := range map[string]string{
		"not masked":          "\x82\x01x",
		"close of one byte":   masked(0x88, "\x03"),
		"close in no UTF-8":   masked(0x88, "\x03\xe8\xff"),
		"continuation first":  masked(0x80, "x"),
		"close in fragments":  masked(0x08, "\x03\xe8"),
		"a reserved bit":      masked(0xc2, "x"),
		"an unknown opcode":   masked(0x84, strings.Repeat("x", 100)),
		"an unmasked control": "\x88\x00",
	} {
		c, f := acceptRaw(t)
		if _, err := io.WriteString(f, masked(0x82, "prefix")+bad); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if string(got) != "prefix" || err == nil {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		_ = c.CloseCause(err)
		last := make([]byte, 4)
		if _, err := io.ReadFull(f, last); err != nil || string(last) != "\x88\x02\x03\xea" {
			t.Errorf("%s: the peer read %q, %v, want Close 1002", name, last, err)
		}
	}
}

// The owner learns the code and the text of the peer's Close, and no Close before it.
func TestPeerClose(t *testing.T) {
	for frame, want := range map[string]struct {
		code int
		text string
	}{
		masked(0x88, ""):                      {1005, ""},
		masked(0x88, "\x03\xe8"):              {1000, ""},
		masked(0x88, "\x03\xe9SHUTTING_DOWN"): {1001, "SHUTTING_DOWN"},
		masked(0x88, "\x03\xf0LIMIT_AGE"):     {1008, "LIMIT_AGE"},
	} {
		c, f := acceptRaw(t)
		if _, _, ok := c.PeerClose(); ok {
			t.Error("a Close before any")
		}
		if _, err := io.WriteString(f, frame); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 1))
		if code, text, ok := c.PeerClose(); !ok || code != want.code || text != want.text {
			t.Errorf("got %d %q, %v, want %+v", code, text, ok, want)
		}
	}
	c, f := acceptRaw(t)
	f.Close()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("no error after a break")
	}
	if _, _, ok := c.PeerClose(); ok {
		t.Error("a break is no Close")
	}
}

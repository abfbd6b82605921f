package wsconn_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/wsconn"
)

// dialRaw opens a WebSocket to a TLS server. It returns the server's connection, on which
// the test reads and writes the frames.
func dialRaw(t *testing.T, limits wsconn.Liveness) (*wsconn.Conn, net.Conn) {
	t.Helper()
	srv, ends := rawServer(t)
	c, err := wsconn.Dialer{Roots: roots(srv), Liveness: limits}.Dial(t.Context(), wss(srv), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := <-ends
	t.Cleanup(func() { c.Close(); f.Close() })
	if err := f.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c, f
}

// rawServer starts a TLS server that completes the WebSocket handshake and returns the
// connections without a WebSocket on them.
func rawServer(t *testing.T) (*httptest.Server, <-chan net.Conn) {
	t.Helper()
	ends := make(chan net.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
		ends <- c
	}))
	t.Cleanup(srv.Close)
	return srv, ends
}

// frame is a received frame.
type frame struct {
	opcode  byte // with the FIN bit
	key     [4]byte
	payload []byte // unmasked
}

// readFrame reads a masked frame (RFC 6455, 5.2).
func readFrame(t *testing.T, r io.Reader) frame {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	if head[1]&0x80 == 0 {
		t.Fatal("a client's frame is not masked")
	}
	length := uint64(head[1] & 0x7f)
	var err error
	switch length {
	case 126:
		var l uint16
		err = binary.Read(r, binary.BigEndian, &l)
		length = uint64(l)
	case 127:
		err = binary.Read(r, binary.BigEndian, &length)
	}
	f := frame{opcode: head[0]}
	if err == nil {
		_, err = io.ReadFull(r, f.key[:])
	}
	f.payload = make([]byte, length)
	if err == nil {
		_, err = io.ReadFull(r, f.payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.payload {
		f.payload[i] ^= f.key[i%4]
	}
	return f
}

// One Read returns the whole of a message that fits into one packet, so that the camera
// gets it in one write.
func TestRead_onePacketAtOnce(t *testing.T) {
	c, f := dialRaw(t, wsconn.Liveness{})
	buf := make([]byte, 64<<10)
	for _, size := range []int{1, 200, 1000, 1400, 1422} { // 1422 fills a TCP segment of 1448
		head := []byte{0x82, 126, byte(size >> 8), byte(size)}
		if size < 126 {
			head = []byte{0x82, byte(size)}
		}
		if _, err := f.Write(append(head, make([]byte, size)...)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != size || err != nil {
			t.Errorf("of %d bytes %d were read, %v", size, n, err)
		}
	}
}

// Bytes that RFC 6455 does not allow end the tunnel with 1002. The bytes before them are
// delivered.
func TestRead_protocolErrors(t *testing.T) {
	for name, bad := range map[string]string{
		"reserved bit 1":      "\xc2\x00",
		"reserved bit 2":      "\xa2\x00",
		"reserved bit 3":      "\x92\x00",
		"masked":              "\x82\x81abcdx",
		"opcode 3":            "\x83\x00",
		"opcode 11":           "\x8b\x00",
		"long ping":           "\x89\x7e\x00\x7e" + strings.Repeat("x", 126),
		"long close":          "\x88\x7e\x00\x7e" + strings.Repeat("x", 126),
		"fragmented ping":     "\x09\x00",
		"continuation first":  "\x80\x01x",
		"data within message": "\x02\x01x\x82\x01y",
		"2^63 bytes":          "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
		"2^64-1 bytes":        "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"close of one byte":   "\x88\x01\x03",
		"close 1004":          "\x88\x02\x03\xec",
		"close 1015":          "\x88\x02\x03\xf7",
		"close 2999":          "\x88\x02\x0b\xb7",
		"close 999":           "\x88\x02\x03\xe7",
		"close 1005":          "\x88\x02\x03\xed",
		"close in no UTF-8":   "\x88\x04\x03\xe8\xff\xfe",
	} {
		c, f := dialRaw(t, wsconn.Liveness{})
		if _, err := io.WriteString(f, "\x82\x06prefix"+bad); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if want := strings.TrimSuffix("prefixx", map[bool]string{true: "x"}[name != "data within message"]); string(got) != want {
			t.Errorf("%s: read %q", name, got)
		}
		if err == nil || reason.Of(err) != reason.RemoteLost {
			t.Errorf("%s: error %v", name, err)
		}
		for range 2000 { // gorilla panics when it is asked too often
			if _, again := c.Read(make([]byte, 1)); again == nil {
				t.Errorf("%s: reading goes on", name)
			}
		}
		_ = c.CloseCause(err)
		last := readFrame(t, f)
		if last.opcode != 0x88 || string(last.payload) != "\x03\xea" {
			t.Errorf("%s: the peer read frame %#x %q, want Close 1002", name, last.opcode, last.payload)
		}
		f.Close()
	}
}

// Violations of RFC 6455 that lose no byte are tolerated.
func TestRead_tolerates(t *testing.T) {
	c, f := dialRaw(t, wsconn.Liveness{})
	if _, err := io.WriteString(f, "\x82\x7e\x00\x02ab"+ // 126 for 2 bytes
		"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x02cd"+ // 127 for 2 bytes
		"\x81\x02\xff\xfe"+ // text that is not UTF-8
		"\x02\x00\x00\x00\x89\x01p\x00\x01e\x80\x00"+ // empty fragments, a ping between
		"\x8a\x01q"+ // an unsolicited pong
		"\x88\x00"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "abcd\xff\xfee" {
		t.Errorf("read %q, %v", got, err)
	}
	if pong := readFrame(t, f); pong.opcode != 0x8a || string(pong.payload) != "p" {
		t.Errorf("the ping was answered by %+v", pong)
	}
}

// Floods of frames without data use no memory.
func TestRead_floods(t *testing.T) {
	for name, flood := range map[string]struct {
		first, unit string
		times       int
	}{
		"empty fragments": {"\x02\x01a", "\x00\x00", 1_000_000},
		"empty messages":  {"\x82\x01a", "\x82\x00", 1_000_000},
		"pings":           {"\x82\x01a", "\x89\x04ping", 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := dialRaw(t, wsconn.Liveness{})
			go func() { _, _ = io.Copy(io.Discard, f) }()
			heap := liveHeap()
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(f, flood.first)
				w := bufio.NewWriterSize(f, 16<<10)
				for range flood.times {
					_, _ = io.WriteString(w, flood.unit)
				}
				if strings.HasPrefix(flood.first, "\x02") {
					_, _ = io.WriteString(w, "\x80\x01b")
				} else {
					_, _ = io.WriteString(w, "\x82\x01b")
				}
				sent <- errors.Join(err, w.Flush())
			}()
			got := make([]byte, 2)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "ab" {
				t.Errorf("read %q, %v", got, err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if grown := liveHeap() - heap; grown > 1<<20 {
				t.Errorf("the heap has grown by %d bytes", grown)
			}
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Each frame is a whole message of at most 64 KiB on the wire, with its own mask
// (RFC 6455, 5.3). Write does not change the caller's bytes.
func TestWrite_frames(t *testing.T) {
	c, f := dialRaw(t, wsconn.Liveness{})
	keys := make(map[[4]byte]bool)
	for _, size := range []int{1, 2, 7, 125, 126, 127, 255, 256, 257, 1400, 65526, 65527, 65528} {
		data := bytes.Repeat([]byte("\x00\x01\x02\x03\x04\x05\x06"), size/7+1)[:size]
		go func() {
			if n, err := c.Write(data); n != size || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		}()
		got := readFrame(t, f)
		if got.opcode != 0x82 || !bytes.Equal(got.payload, data) {
			t.Errorf("%d bytes: frame %#x of %d", size, got.opcode, len(got.payload))
		}
		keys[got.key] = true
	}
	if len(keys) < 12 || keys[[4]byte{}] {
		t.Errorf("the masks were %v", keys)
	}
}

// Of several pings that arrive while a write is blocked, the newest is answered, once and
// before more data. Data after the pings is read in the meantime.
func TestRead_answersTheNewestPing(t *testing.T) {
	c, f := dialRaw(t, wsconn.Liveness{})
	progress, written := make(chan struct{}), make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			_, err := c.Write(make([]byte, 60<<10))
			if err != nil {
				written <- err
				return
			}
			select {
			case progress <- struct{}{}:
			case <-stop:
				written <- nil
				return
			}
		}
	}()
	untilBlocked(t, progress)
	for _, ping := range []string{"1", "2", "3"} {
		if _, err := io.WriteString(f, "\x89\x01"+ping); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(f, "\x82\x05after"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "after" {
		t.Fatalf("read %q, %v", got, err)
	}
	close(stop)
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		frame := readFrame(t, r)
		if frame.opcode == 0x82 {
			continue
		}
		if frame.opcode != 0x8a || string(frame.payload) != "3" {
			t.Errorf("frame %#x %q, want the newest ping's pong", frame.opcode, frame.payload)
		}
		break
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	go c.Close()
	if next := readFrame(t, r); next.opcode != 0x88 {
		t.Errorf("frame %#x %q, want Close", next.opcode, next.payload)
	}
}

// untilBlocked returns when there was no progress for 300 ms.
func untilBlocked(t *testing.T, progress <-chan struct{}) {
	t.Helper()
	idle := time.NewTimer(300 * time.Millisecond)
	defer idle.Stop()
	for {
		select {
		case <-progress:
			idle.Reset(300 * time.Millisecond)
		case <-idle.C:
			return
		}
	}
}

// Pongs that the peer does not read do not block the reading of its data.
func TestRead_doesNotWaitForPongs(t *testing.T) {
	c, f := dialRaw(t, wsconn.Liveness{})
	sent := make(chan error, 1)
	go func() {
		pings := bytes.Repeat([]byte("\x89\x7d"+strings.Repeat("p", 125)), 100)
		for range 1000 { // 12 MB of pongs: more than the kernels of both ends buffer
			if _, err := f.Write(pings); err != nil {
				sent <- err
				return
			}
		}
		_, err := io.WriteString(f, "\x82\x05after")
		sent <- err
	}()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "after" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := c.Reset(); err != nil {
		t.Error(err)
	}
}

// Accept works with clients of other implementations.
func TestAccept_withGorilla(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	}))
	defer srv.Close()
	d := websocket.Dialer{TLSClientConfig: srv.Client().Transport.(*http.Transport).TLSClientConfig}
	ws, _, err := d.Dial(wss(srv).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	data := bytes.Repeat([]byte("0123456"), 30<<10)
	go func() { _ = ws.WriteMessage(websocket.TextMessage, data) }()
	var got []byte
	for len(got) < len(data) {
		kind, p, err := ws.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatal(kind, err)
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, data) {
		t.Error("other bytes came back")
	}
}

package wsconn_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"rtsptunnel/internal/wire/wsconn"
)

// counted is a TCP connection that records its writes, each of which is a system call.
type counted struct {
	net.Conn

	mu    sync.Mutex
	sizes []int
	takes int   // bytes that the next write accepts, if fails is set
	fails error // of all writes; nil for none
}

func (c *counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes = append(c.sizes, len(p))
	if c.fails != nil {
		n, _ := c.Conn.Write(p[:min(c.takes, len(p))])
		return n, c.fails
	}
	return c.Conn.Write(p)
}

// writes returns the sizes of the writes since the last call.
func (c *counted) writes() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sizes := c.sizes
	c.sizes = nil
	return sizes
}

// fail makes all writes fail with err, the next one after takes bytes.
func (c *counted) fail(takes int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes, c.fails = takes, err
}

// dialCounted is dialRaw over a connection that records its writes.
func dialCounted(t *testing.T) (*wsconn.Conn, *counted, net.Conn) {
	t.Helper()
	srv, ends := rawServer(t)
	tcp, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	under := &counted{Conn: tcp}
	c, err := wsconn.OverTLS(under, &tls.Config{RootCAs: roots(srv), ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	f := <-ends
	t.Cleanup(func() { c.Close(); f.Close() })
	under.writes()
	return c, under, f
}

// Every frame is one system call, large ones also at the start of a connection, when TLS
// makes small records. A control frame is sent immediately.
func TestCork_oneWriteAFrame(t *testing.T) {
	c, under, f := dialCounted(t)
	r := bufio.NewReaderSize(f, 128<<10)
	one := func(name string, opcode byte, payload []byte) {
		t.Helper()
		got := readFrame(t, r) // no later write could have flushed it
		if got.opcode != opcode || !bytes.Equal(got.payload, payload) {
			t.Errorf("%s: frame %#x of %d bytes", name, got.opcode, len(got.payload))
		}
		if w := under.writes(); len(w) != 1 {
			t.Errorf("%s: writes of %v bytes", name, w)
		}
	}
	piece := bytes.Repeat([]byte("0123456789abcdefghijklmnopq"), 3000)
	sizes := []int{33333, 64<<10 - 8, 64<<10 - 8, 16<<10 - 7}
	for range 3 {
		for _, size := range sizes {
			if _, err := c.Write(piece[:size]); err != nil {
				t.Fatal(err)
			}
			one("data", 0x82, piece[:size])
		}
		sizes = []int{1, 1400, 16<<10 - 8, 16<<10 - 7, 16 << 10, 33333, 64<<10 - 8}
		reading := make(chan error, 1)
		go func() { _, err := io.ReadFull(c, make([]byte, 1)); reading <- err }()
		if _, err := io.WriteString(f, "\x89\x01p"); err != nil {
			t.Fatal(err)
		}
		one("pong", 0x8a, []byte("p"))
		if _, err := io.WriteString(f, "\x82\x01x"); err != nil {
			t.Fatal(err)
		}
		if err := <-reading; err != nil {
			t.Error(err)
		}
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	one("Close", 0x88, []byte("\x03\xe8"))
}

// After a partial write of a frame the writer reports the part and sends no more frames:
// the peer could not parse them.
func TestCork_errors(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct{ frame, takes, least, most int }{
		{frame: 64<<10 - 8, takes: 0, least: 0, most: 0},
		{frame: 64<<10 - 8, takes: 33 << 10, least: 32 << 10, most: 33 << 10},
		{frame: 1000, takes: 100, least: 0, most: 1000}, // TLS reports a record as written or not
	} {
		conn, under, _ := dialCounted(t)
		if _, err := conn.Write(make([]byte, 256<<10)); err != nil { // until TLS makes full records
			t.Fatal(err)
		}
		under.writes()
		under.fail(c.takes, broken)
		n, err := conn.Write(make([]byte, c.frame))
		if !errors.Is(err, broken) || n < c.least || n > c.most {
			t.Errorf("%+v: wrote %d, %v", c, n, err)
		}
		under.fail(0, nil)
		if n, err := conn.Write([]byte("x")); n != 0 || !errors.Is(err, broken) {
			t.Errorf("%+v: afterwards wrote %d, %v", c, n, err)
		}
		_ = conn.CloseWrite()
		if w := under.writes(); len(w) != 1 {
			t.Errorf("%+v: writes of %v bytes", c, w)
		}
	}
}

// Bytes that do not fit are written early and in order. The Write that causes it returns
// its error.
func TestCork_overflow(t *testing.T) {
	c, under, received := corkOverPipe(t)
	var sent []byte
	write := func(size int) (int, error) {
		p := bytes.Repeat([]byte{byte(len(sent) % 251)}, size)
		sent = append(sent, p...)
		return c.Write(p)
	}
	for _, step := range []struct {
		pieces, writes []int
	}{
		{nil, nil},
		{[]int{1, 2, 3}, []int{6}},
		{[]int{wsconn.CorkSize}, []int{wsconn.CorkSize}},
		{[]int{wsconn.CorkSize, 1}, []int{wsconn.CorkSize, 1}},
		{[]int{5, wsconn.CorkSize}, []int{5, wsconn.CorkSize}},
		{[]int{5, wsconn.CorkSize + 1, 7}, []int{5, wsconn.CorkSize + 1, 7}},
	} {
		c.Hold()
		for _, size := range step.pieces {
			if n, err := write(size); n != size || err != nil {
				t.Errorf("%v: wrote %d, %v", step, n, err)
			}
		}
		if share, err := c.Release(); share != 1 || err != nil {
			t.Errorf("%v: released %v, %v", step, share, err)
		}
		if w := under.writes(); !slices.Equal(w, step.writes) {
			t.Errorf("%v: writes of %v", step, w)
		}
	}
	if _, err := write(9); err != nil || !slices.Equal(under.writes(), []int{9}) {
		t.Error("after Release bytes are buffered", err)
	}
	if got := received(); !bytes.Equal(got, sent) {
		t.Errorf("received %d bytes that are not the %d written", len(got), len(sent))
	}
}

func TestCork_overflowErrors(t *testing.T) {
	c, under, received := corkOverPipe(t)
	broken := errors.New("broken")
	c.Hold()
	_, _ = c.Write(make([]byte, 100))
	under.fail(0, broken)
	if n, err := c.Write(make([]byte, wsconn.CorkSize)); n != 0 || !errors.Is(err, broken) {
		t.Errorf("wrote %d, %v beyond the buffer", n, err)
	}
	if _, err := c.Release(); err != nil {
		t.Errorf("nothing was buffered, and Release returned %v", err)
	}
	c.Hold()
	_, _ = c.Write(make([]byte, 100))
	under.fail(25, broken)
	if share, err := c.Release(); share != 0.25 || !errors.Is(err, broken) {
		t.Errorf("released %v, %v", share, err)
	}
	if got := received(); !bytes.Equal(got, make([]byte, 25)) {
		t.Errorf("received %d bytes, want 25", len(got))
	}
}

// corkOverPipe returns a Cork over a pipe; received closes the pipe and returns the bytes
// that came through it.
func corkOverPipe(t *testing.T) (c *wsconn.Cork, under *counted, received func() []byte) {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	var got []byte
	var reader sync.WaitGroup
	reader.Go(func() { got, _ = io.ReadAll(far) })
	under = &counted{Conn: near}
	return wsconn.NewCork(under), under, func() []byte { near.Close(); reader.Wait(); return got }
}

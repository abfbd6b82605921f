package wsconn_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/wsconn"
)

// quick returns limits for a peer that is to be detected as dead.
func quick() wsconn.Liveness {
	return wsconn.Liveness{Ping: 200 * time.Millisecond, Pong: 200 * time.Millisecond, Stall: time.Hour}
}

// lasting returns limits for a peer that is to stay alive on a busy machine.
func lasting() wsconn.Liveness {
	return wsconn.Liveness{Ping: 100 * time.Millisecond, Pong: 2 * time.Second, Stall: time.Hour}
}

// A peer that does not answer pings is dead, even if its host acknowledges them. It
// receives Close 1011.
func TestLiveness_noPong(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	c, f := dialRaw(t, quick())
	_, err := c.Read(make([]byte, 1))
	if reason.Of(err) != reason.RemoteLost || !strings.Contains(err.Error(), "no answer to a ping for 200ms") {
		t.Errorf("read: %v", err)
	}
	if took := time.Since(begin); took < 300*time.Millisecond || took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := c.Write([]byte("x")); err == nil || reason.Of(err) != reason.RemoteLost {
		t.Errorf("write: %v", err)
	}
	r := bufio.NewReader(f)
	for {
		frame := readFrame(t, r)
		if frame.opcode == 0x89 {
			continue
		}
		if frame.opcode != 0x88 || !bytes.HasPrefix(frame.payload, []byte{0x03, 0xf3}) {
			t.Errorf("frame %#x %q, want Close 1011", frame.opcode, frame.payload)
		}
		break
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Close the peer read %v, want a reset", err)
	}
}

// A peer that sends any frame after a ping is alive.
func TestLiveness_answers(t *testing.T) {
	for name, answer := range map[string]string{"pong": "\x8a\x00", "a ping": "\x89\x00", "data": "\x82\x01x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, f := dialRaw(t, lasting())
			ended := make(chan error, 1)
			go func() { _, err := io.Copy(io.Discard, c); ended <- err }()
			r := bufio.NewReader(f)
			for pings := 0; pings < 30; { // 3 s
				if readFrame(t, r).opcode != 0x89 {
					continue
				}
				pings++
				if _, err := io.WriteString(f, answer); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Error(err)
			}
			c.Close()
			if err := <-ended; err == nil {
				t.Error("the peer ended the connection")
			}
		})
	}
}

// flood writes pieces of 60 KiB to c until a write fails; the n-th holds the byte n. It
// reports each write, and then the error or nil.
func flood(c io.Writer, pieces int) (progress <-chan struct{}, done <-chan error) {
	ticks, err := make(chan struct{}, pieces), make(chan error, 1)
	go func() {
		for i := range pieces {
			if _, failed := c.Write(bytes.Repeat([]byte{byte(i)}, 60<<10)); failed != nil {
				err <- failed
				return
			}
			ticks <- struct{}{}
		}
		err <- nil
	}()
	return ticks, err
}

// A peer that stops reading is dead after Stall without an acknowledged byte. Unanswered
// pings do not end it earlier.
func TestLiveness_stall(t *testing.T) {
	t.Parallel()
	limits := quick()
	limits.Stall = 1500 * time.Millisecond
	c, _ := dialRaw(t, limits)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	begin := time.Now()
	_, done := flood(c, 10000)
	err := <-done
	if reason.Of(err) != reason.RemoteLost || !strings.Contains(err.Error(), "no byte was acknowledged for 1.5s") {
		t.Errorf("write: %v", err)
	}
	if took := time.Since(begin); took < limits.Stall || took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// Without Stall a peer may stop reading for any time, and then receives every byte. The
// test takes 30 pings, which are ten minutes with the product's limits (see
// TestLiveness_tenMinutes). Memory does not grow, and only the newest of the peer's pings
// is answered.
func TestLiveness_neverStalls(t *testing.T) {
	limits := lasting()
	limits.Ping, limits.Stall = 200*time.Millisecond, -1
	c, f := dialRaw(t, limits)
	heard := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(c, make([]byte, 1))
		heard <- err
		_, _ = io.Copy(io.Discard, c)
	}()
	const pieces = 1000
	progress, done := flood(c, pieces)
	untilBlocked(t, progress)
	heap := liveHeap()
	tick := time.NewTicker(limits.Ping)
	defer tick.Stop()
	for i := range 30 {
		if _, err := fmt.Fprintf(f, "\x89\x02%02d", i); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		case <-tick.C:
		}
	}
	if _, err := io.WriteString(f, "\x82\x01x"); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil { // all pings were read before
		t.Fatal(err)
	}
	if grown := liveHeap() - heap; grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if pongs := readPieces(t, f, f, pieces); len(pongs) != 1 || pongs[0] != "29" {
		t.Errorf("the pings 00 to 29 were answered by %q", pongs)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// readPieces reads and checks the pieces of flood, answers pings on w, and returns the
// data of the pongs between the pieces.
func readPieces(t *testing.T, r io.Reader, w io.Writer, pieces int) (pongs []string) {
	t.Helper()
	buffered := bufio.NewReaderSize(r, 16<<10)
	at := 0
	for at < pieces*60<<10 {
		frame := readFrame(t, buffered)
		switch frame.opcode {
		case 0x89:
			if _, err := io.WriteString(w, "\x8a\x00"); err != nil {
				t.Fatal(err)
			}
			continue
		case 0x8a:
			pongs = append(pongs, string(frame.payload))
			continue
		}
		for _, b := range frame.payload {
			if want := byte(at / (60 << 10)); b != want {
				t.Fatalf("byte %d is %d, want %d", at, b, want)
			}
			at++
		}
	}
	return pongs
}

// readsPerSecond is the number of reads of a slowReader.
const readsPerSecond = 50

// slowReader reads at most rate bytes per second.
type slowReader struct {
	net.Conn
	rate int
	tick *time.Ticker
}

func newSlowReader(t *testing.T, conn net.Conn, rate int) slowReader {
	t.Helper()
	tick := time.NewTicker(time.Second / readsPerSecond)
	t.Cleanup(tick.Stop)
	return slowReader{conn, rate, tick}
}

func (r slowReader) Read(b []byte) (int, error) {
	<-r.tick.C
	return r.Conn.Read(b[:min(len(b), r.rate/readsPerSecond)])
}

// A slow reader is alive: its host acknowledges bytes, although its pong waits behind
// many others.
func TestLiveness_slowReader(t *testing.T) {
	for _, rate := range []int{16 << 10, 128 << 10} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			limits := lasting()
			limits.Stall = 0 // the default
			c, f := dialRaw(t, limits)
			if err := f.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
			pieces := max(3, 4*rate/(60<<10)) // 4 s and more
			_, done := flood(c, pieces)
			readPieces(t, newSlowReader(t, f, rate), f, pieces)
			if err := <-done; err != nil {
				t.Error(err)
			}
			c.Close()
		})
	}
}

// A connection that is not read, since the camera reads nothing, does not count as dead:
// its peer sends until the buffers are full, and then its pongs cannot arrive.
func TestLiveness_notRead(t *testing.T) {
	t.Parallel()
	c, f := dialRaw(t, lasting())
	progress, done := flood(plainFrames{f}, 1000)
	untilBlocked(t, progress)
	answer := bufio.NewReader(f)
	for range 50 { // pings continue for 5 s; no pong of the peer fits
		readFrame(t, answer)
	}
	got := make([]byte, 60<<10)
	for i := range 1000 {
		if _, err := io.ReadFull(c, got); err != nil || got[0] != byte(i) || got[len(got)-1] != byte(i) {
			t.Fatalf("piece %d begins with %d, %v", i, got[0], err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// plainFrames writes each piece as one unmasked frame.
type plainFrames struct{ io.Writer }

func (p plainFrames) Write(b []byte) (int, error) {
	_, err := p.Writer.Write(append([]byte{0x82, 126, byte(len(b) >> 8), byte(len(b))}, b...))
	return len(b), err
}

// Accept watches its peer, too: here a gorilla client that does not read.
func TestLiveness_acceptedEnd(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.AcceptWatched(w, r, quick())
		if err != nil {
			t.Error(err)
			return
		}
		_, err = c.Read(make([]byte, 1))
		ended <- err
		c.Close()
	}))
	defer srv.Close()
	d := websocket.Dialer{TLSClientConfig: srv.Client().Transport.(*http.Transport).TLSClientConfig}
	ws, _, err := d.Dial(wss(srv).String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.SetPingHandler(func(string) error { return nil }) // a pong would race with the reset
	if err := <-ended; reason.Of(err) != reason.RemoteLost || !strings.Contains(err.Error(), "no answer to a ping") {
		t.Errorf("read: %v", err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseInternalServerErr) {
		t.Errorf("the peer read %v, want Close 1011", err)
	}
}

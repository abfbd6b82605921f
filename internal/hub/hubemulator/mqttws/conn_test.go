package mqttws_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Read returns the bytes of the messages and ignores their boundaries.
func TestRead_ignoresBoundaries(t *testing.T) {
	p, conn := connect(t)
	p.send(t, bytes.Join([][]byte{
		frame(opBinary|last, "two packets"),
		frame(opBinary, "one in "),
		frame(opPing|last, "between"),
		frame(opContinue, ""),
		frame(opContinue|last, "three frames"),
		frame(opBinary|last, ""),
		frame(opBinary|last, strings.Repeat("x", 70_000)),
	}, nil))
	go io.Copy(io.Discard, p.reader) //nolint:errcheck // ends with the connection
	wantRead(t, conn, "two")
	wantRead(t, conn, " packetsone in three frames"+strings.Repeat("x", 70_000))
}

func TestRead_badFrames(t *testing.T) {
	const (
		normal        = 1000
		protocolError = 1002
		unsupported   = 1003
		tooBig        = 1009
	)
	unmasked := []byte{opBinary | last, 1, 'x'}
	tests := []struct {
		name  string
		frame []byte
		code  uint16
	}{
		{"text", frame(opText|last, "x"), unsupported},
		{"unmasked", unmasked, protocolError},
		{"unknown opcode", frame(0x5|last, "x"), protocolError},
		{"reserved bit", frame(opBinary|last|0x40, "x"), protocolError},
		{"continuation without a message", frame(opContinue|last, "x"), protocolError},
		{"long ping", frame(opPing|last, strings.Repeat("x", 126)), protocolError},
		{"too large", frame(opBinary|last, strings.Repeat("x", 1<<20+1))[:100], tooBig},
		{"length of 63 bits", append([]byte{opBinary | last, 0xff, 0x7f}, make([]byte, 11)...), tooBig},
		{"length with the highest bit", append([]byte{opBinary | last, 0xff, 0xff}, make([]byte, 11)...), normal},
		{"garbage", []byte("\xff\xff garbage"), protocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, conn := connect(t)
			p.send(t, tt.frame)
			if n, err := conn.Read(make([]byte, 10)); n > 0 || err == nil || isTimeout(err) {
				t.Errorf("read %d bytes, %v; want an error", n, err)
			}
			conn.Close()
			p.wantClose(t, tt.code)
		})
	}
}

// Messages up to the limit are accepted.
func TestRead_largest(t *testing.T) {
	p, conn := connect(t)
	large := strings.Repeat("x", 1<<20)
	go p.Write(frame(opBinary|last, large)) //nolint:errcheck // the reader gets the error
	wantRead(t, conn, large)
}

func TestRead_peerGone(t *testing.T) {
	tests := []struct {
		name string
		end  func(p *peer)
	}{
		{"with a Close", func(p *peer) { p.Write(frame(opClose|last, "\x03\xe8")) }}, //nolint:errcheck // the reader gets the error
		{"without", func(p *peer) { p.Close() }},
		{"in a frame", func(p *peer) {
			p.Write(frame(opBinary|last, "half")[:7]) //nolint:errcheck // the reader gets the error
			p.Close()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, conn := connect(t)
			tt.end(p)
			if _, err := io.ReadAll(conn); err == nil || isTimeout(err) {
				t.Errorf("got %v, want the error that ended the connection", err)
			}
		})
	}
}

func TestWrite_isOneBinaryMessage(t *testing.T) {
	p, conn := connect(t)
	for _, want := range []string{"x", strings.Repeat("y", 300), strings.Repeat("z", 100_000)} {
		go conn.Write([]byte(want)) //nolint:errcheck // the reader gets the error
		if head, payload := p.receive(t); head != opBinary|last || payload != want {
			t.Errorf("frame %#x of %d bytes, want %d", head, len(payload), len(want))
		}
	}
}

func TestPing(t *testing.T) {
	p, conn := connect(t)
	go io.Copy(io.Discard, conn) //nolint:errcheck // ends with the connection
	for _, data := range []string{"", "hello"} {
		p.send(t, frame(opPing|last, data))
		if head, payload := p.receive(t); head != opPong|last || payload != data {
			t.Errorf("frame %#x %q, want a pong with %q", head, payload, data)
		}
	}
}

func TestClose_sendsClose(t *testing.T) {
	p, conn := connect(t)
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	p.wantClose(t, 1000)
	if _, err := p.reader.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v, want EOF", err)
	}
}

func TestDeadline_ofReads(t *testing.T) {
	_, conn := connect(t)
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	if err := conn.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := await(t, read); !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
}

// block starts a Write of more bytes than all buffers hold, and returns a channel with its
// result. It waits until the peer has received the first byte.
func block(t *testing.T, p *peer, conn net.Conn) <-chan error {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, 64<<20))
		written <- err
	}()
	if _, err := p.reader.ReadByte(); err != nil {
		t.Fatal(err)
	}
	return written
}

// A deadline applies to later calls of Write, and also ends a Write that waits for a peer
// that does not read.
func TestDeadline_ofWrites(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		_, conn := connect(t)
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Write(make([]byte, 64<<20))
		if !isTimeout(err) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
	t.Run("during", func(t *testing.T) {
		p, conn := connect(t)
		if err := conn.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		written := block(t, p, conn)
		if err := conn.SetWriteDeadline(time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := await(t, written); !isTimeout(err) {
			t.Errorf("got %v, want a timeout", err)
		}
	})
}

// A peer that sends pings and does not read blocks Read at most until the write deadline.
func TestPing_unread(t *testing.T) {
	p, conn := connect(t)
	if err := errors.Join(
		conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn).SetWriteBuffer(4096),
		conn.SetWriteDeadline(time.Now().Add(time.Second)),
	); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	pings := bytes.Repeat(frame(opPing|last, strings.Repeat("x", 125)), 20_000) // the pongs are more than the buffers hold
	go p.Write(append(pings, frame(opBinary|last, "x")...))                     //nolint:errcheck // the reader gets the error
	if err := await(t, read); err != nil {
		t.Errorf("Read: %v", err)
	}
}

// The connection below can be closed at any time, which ends Read and Write at once.
func TestNetConn_closeDuringWrite(t *testing.T) {
	p, conn := connect(t)
	written := block(t, p, conn)
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	below, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn)
	if !ok {
		t.Fatal("the connection below is not TCP")
	}
	if err := below.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ended := range []<-chan error{written, read} {
		if err := await(t, ended); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want %v", err, net.ErrClosed)
		}
	}
	conn.Close() // returns, although it cannot send a Close frame
}

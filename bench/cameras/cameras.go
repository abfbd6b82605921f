// Package cameras serves many synthetic cameras from one process, at a low cost, so that a
// server with hundreds of them can be measured on one machine. The camera of a path begins
// with a key frame at each PLAY. A picture is one write of interleaved RTP, and ends with a
// mark of package stamp.
//
// The pictures have the headers of real H.264 pictures and random bytes after them: they
// can be carried, counted and timed, and not decoded. RTSP is as little of RFC 2326 as
// clients need: one video track, TCP alone, no login.
package cameras

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"rtsptunnel/bench/stamp"
)

// Command is the first argument that makes the bench's program serve cameras.
const Command = "cameras"

// Kind is what a camera sends. The first segment of a path names it; the rest may be
// anything.
type Kind struct {
	BitsPerSecond int
	Rate          int // pictures a second
	Group         int // pictures from one key frame to the next
}

// The kinds.
const (
	HD   = "hd"   // 4 Mbit/s, a key frame every 2 s
	Long = "long" // 4 Mbit/s, a key frame every 4 s
	Low  = "low"  // 64 kbit/s, a key frame every 2 s
)

// Kinds returns the kind of each name.
func Kinds() map[string]Kind {
	return map[string]Kind{HD: {4_000_000, 25, 50}, Long: {4_000_000, 25, 100}, Low: {64_000, 5, 10}}
}

// Main serves cameras on a free port of loopback. It writes the address to stdout, and
// ends when stdin does.
func Main(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, ln.Addr()); err != nil {
		ln.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, ln) }()
	_, _ = io.Copy(io.Discard, stdin)
	cancel()
	return <-served
}

// Serve serves cameras on ln, which it closes, until ctx is done.
func Serve(ctx context.Context, ln net.Listener) error {
	kinds := map[string]*video{}
	for name, kind := range Kinds() {
		v, err := newVideo(kind)
		if err != nil {
			ln.Close()
			return fmt.Errorf("kind %s: %w", name, err)
		}
		kinds[name] = v
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		serving.Go(func() {
			c := &client{conn: conn, kinds: kinds}
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			c.serve(ctx)
		})
	}
}

// client is one connection, with at most one camera.
type client struct {
	conn  net.Conn
	kinds map[string]*video

	mu sync.Mutex // one write at a time: answers and pictures
}

// serve answers requests until the connection ends, and then ends the sending.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer c.conn.Close()
	defer cancel()
	requests := textproto.NewReader(bufio.NewReader(c.conn))
	playing := false
	for {
		method, path, header, err := readRequest(requests)
		if err != nil {
			return
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		v := c.kinds[kind]
		switch {
		case v == nil && method != "OPTIONS":
			err = c.answer(header, "404 Not Found", "", "")
		case method == "DESCRIBE":
			err = c.answer(header, "200 OK", "Content-Type: application/sdp\r\n", v.sdp)
		case method == "SETUP" && !strings.Contains(header.Get("Transport"), "RTP/AVP/TCP"):
			err = c.answer(header, "461 Unsupported Transport", "", "")
		case method == "SETUP":
			err = c.answer(header, "200 OK", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", "")
		default:
			err = c.answer(header, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n", "")
		}
		if err != nil || method == "TEARDOWN" {
			return
		}
		if method == "PLAY" && v != nil && !playing {
			playing = true
			sending.Go(func() { c.send(ctx, v, path) })
		}
	}
}

var errRequest = errors.New("not an RTSP request")

// readRequest reads a request, and skips a client's interleaved RTCP before it.
func readRequest(r *textproto.Reader) (method, path string, header textproto.MIMEHeader, err error) {
	for {
		first, err := r.R.Peek(4)
		if err != nil {
			return "", "", nil, err
		}
		if first[0] != '$' {
			break
		}
		if _, err := r.R.Discard(4 + int(first[2])<<8 + int(first[3])); err != nil {
			return "", "", nil, err
		}
	}
	line, err := r.ReadLine()
	if err != nil {
		return "", "", nil, err
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return "", "", nil, errRequest
	}
	if header, err = r.ReadMIMEHeader(); err != nil {
		return "", "", nil, err
	}
	length, _ := strconv.Atoi(header.Get("Content-Length"))
	if _, err := io.CopyN(io.Discard, r.R, int64(length)); err != nil {
		return "", "", nil, err
	}
	_, rest, _ := strings.Cut(words[1], "://")
	_, path, _ = strings.Cut(rest, "/")
	return words[0], "/" + path, header, nil
}

func (c *client) answer(request textproto.MIMEHeader, status, header, body string) error {
	if body != "" {
		header += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintf(c.conn, "RTSP/1.0 %s\r\nCSeq: %s\r\nSession: 1;timeout=60\r\n%s\r\n%s", status, request.Get("CSeq"), header, body)
	return err
}

// send writes each picture when it is due. Cameras of different paths are not in step.
func (c *client) send(ctx context.Context, v *video, path string) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, path)
	period := time.Second / time.Duration(v.kind.Rate)
	due := time.Now().Truncate(period).Add(period * time.Duration(h.Sum32()%1000) / 1000)
	timer := time.NewTimer(0)
	defer timer.Stop()
	s := sender{video: v}
	for ; ; due = due.Add(period) {
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		b := s.next(time.Now())
		c.mu.Lock()
		_, err := c.conn.Write(b)
		c.mu.Unlock()
		if err != nil {
			c.conn.Close()
			return
		}
	}
}

// sender numbers the pictures and packets of one connection.
type sender struct {
	video    *video
	picture  uint32
	sequence uint16
	buffer   []byte
}

// next returns the next picture, until the next call.
func (s *sender) next(now time.Time) []byte {
	p := s.video.group[int(s.picture)%len(s.video.group)]
	s.buffer = append(s.buffer[:0], p.packets...)
	timestamp := s.picture * uint32(clock/s.video.kind.Rate) //nolint:gosec // G115: it wraps, as RTP's timestamps do
	for _, at := range p.headers {
		s.sequence++
		putHeader(s.buffer[at:], s.sequence, timestamp)
	}
	stamp.Put(s.buffer, s.picture, now)
	s.picture++
	return s.buffer
}

package rtspout_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/logtest"
)

// A URL never names a stream by a trick: a name has one to three segments, which the
// escaped form of the name names again.
func FuzzParseTarget(f *testing.F) {
	for _, u := range []string{
		"rtsp://h/edge1/front", "rtsp://h/edge1/front/main/trackID=1?token=a&start=live", "rtsp://h/edge1/front?token=a/trackID=2",
		"rtsp://h/a%20b/c%25d/", "rtsp://h//a/b", "rtsp://h/a/../b", "rtsp://h/a%2fb", "rtsp://h/a/%00", "rtsp://h/a?%zz", "rtsp://h:99/%ff",
	} {
		f.Add(u, true)
		f.Add(u, false)
	}
	f.Fuzz(func(t *testing.T, raw string, setup bool) {
		u, err := base.ParseURL(raw)
		if err != nil {
			return
		}
		name, track, err := rtspout.ParseTarget(u, setup)
		if track < 0 || track > 255 {
			t.Errorf("track %d", track)
		}
		if err != nil {
			return
		}
		segments := strings.Split(name, "/")
		if len(segments) > 3 {
			t.Errorf("name %q", name)
		}
		for i, s := range segments {
			if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "\x00\r\n\\") {
				t.Errorf("segment %q", s)
			}
			segments[i] = url.PathEscape(s)
		}
		again := &base.URL{Scheme: "rtsp", Host: "h", Path: "/" + name, RawPath: "/" + strings.Join(segments, "/")}
		if got, _, err := rtspout.ParseTarget(again, false); err != nil || got != name {
			t.Errorf("%q names %q, %v; want %q", again, got, err, name)
		}
	})
}

// Whatever a player sends, the server goes on, and nothing of the player is left. Steps are
// separated by a zero byte; SESSION stands for the id in the newest answer.
func FuzzServer(f *testing.F) {
	const setup = "SETUP rtsp://h/edge1/front/trackID=0 RTSP/1.0\r\nCSeq: 2\r\n" + transport + "\r\n\r\n"
	const describe = "DESCRIBE rtsp://h/edge1/front?token=rtt_wall&start=live RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	const play = "PLAY rtsp://h/edge1/front/ RTSP/1.0\r\nCSeq: 3\r\nSession: SESSION\r\n\r\n"
	for _, seed := range []string{
		"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		describe + "\x00" + setup + "\x00" + play + "\x00$\x01\x00\x02ab" + strings.Replace(play, "PLAY", "PAUSE", 1) + "\x00" + play + "\x00" + strings.Replace(play, "PLAY", "TEARDOWN", 1),
		describe + setup + "\x00" + play + play + strings.Replace(play, "PLAY", "GET_PARAMETER", 1) + "\x00" + setup,
		describe + describe + "\x00" + strings.Replace(setup, "=0 ", "=9 ", 1), setup + "\x00" + setup,
		"GET / HTTP/1.1\r\n\r\n", "POST", "ANNOUNCE rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc",
		"DESCRIBE rtsp://h/edge1/front RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Digest username=\"ops\"\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	e, units := clipUnits(f, 3)
	source := newFeed(f, e)
	source.put(units...)
	source.keep(f)
	log := logtest.New()
	s, err := rtspout.New(rtspout.Options{
		Find:         func(context.Context, string) (*stream.Stream, error) { return source.Stream, nil },
		Authorize:    authorize,
		OffersDigest: func(string) bool { return true },
		Log:          zerolog.New(log),
	})
	if err != nil {
		f.Fatal(err)
	}
	ln := pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	f.Cleanup(func() {
		s.Shutdown(context.Background())
		if err := <-done; err != nil {
			f.Error(err)
		}
		if strings.Contains(log.String(), "rtt_") {
			f.Error("a token is in the log")
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, theirs := net.Pipe()
		ln.conns <- theirs
		converse(c, data)
		await(t, func() bool { return s.Counters().Connections == 0 && source.State().Readers == 1 })
	})
}

var sessionHeader = regexp.MustCompile(`Session: ([0-9a-f]+)`)

// converse sends the steps of data, each after an answer to the one before, or a short time.
func converse(c net.Conn, data []byte) {
	var mu sync.Mutex
	session := []byte("none")
	answered := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.Close()
	wg.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if m := sessionHeader.FindSubmatch(b[:n]); m != nil {
				mu.Lock()
				session = bytes.Clone(m[1])
				mu.Unlock()
			}
			select {
			case answered <- struct{}{}:
			default:
			}
		}
	})
	_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
	for step := range bytes.SplitSeq(data, []byte{0}) {
		mu.Lock()
		step = bytes.ReplaceAll(step, []byte("SESSION"), session)
		mu.Unlock()
		if _, err := c.Write(step); err != nil {
			return
		}
		late := time.NewTimer(2 * time.Millisecond)
		select {
		case <-answered:
		case <-late.C:
		}
		late.Stop()
	}
}

// pipeListener accepts the connections of a test.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

package rtspout_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// gateway is a server of one feed, "edge1/front", on loopback.
type gateway struct {
	*rtspout.Server
	address string
	log     *logtest.Record
	feed    *feed
}

func newGateway(t *testing.T, f *feed, change func(*rtspout.Options), times ...rtspout.Times) *gateway {
	t.Helper()
	g := &gateway{log: logtest.New(), feed: f}
	o := rtspout.Options{Authorize: authorize, Log: zerolog.New(g.log)}
	o.Find = func(_ context.Context, name string) (*stream.Stream, error) {
		if f == nil || name != "edge1/front" && name != "edge1/front/main" && name != "edge1/a b" {
			return nil, failure.New(failure.Viewer, reason.CameraUnknown, nil)
		}
		return f.Stream, nil
	}
	if change != nil {
		change(&o)
	}
	s, err := rtspout.New(o)
	if err != nil {
		t.Fatal(err)
	}
	g.Server = s
	for _, x := range times {
		s.SetTimes(x)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.address = ln.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return g
}

// rawClient speaks RTSP by hand.
type rawClient struct {
	net.Conn
	t    *testing.T
	r    *bufio.Reader
	cseq int

	setups []string // the Transport headers that playTracks got
}

func (g *gateway) dial(t *testing.T) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return newRawClient(t, nc)
}

func newRawClient(t *testing.T, nc net.Conn) *rawClient {
	t.Helper()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return &rawClient{Conn: nc, t: t, r: bufio.NewReader(nc)}
}

// do sends a request with headers, each without a line end, and returns the answer.
func (c *rawClient) do(method, url string, headers ...string) *base.Response {
	c.t.Helper()
	c.send(method, url, headers...)
	return c.answer()
}

func (c *rawClient) send(method, url string, headers ...string) {
	c.t.Helper()
	c.cseq++
	text := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, c.cseq)
	for _, h := range headers {
		text += h + "\r\n"
	}
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// answer skips media.
func (c *rawClient) answer() *base.Response {
	c.t.Helper()
	for {
		b, err := c.r.Peek(1)
		if err != nil {
			c.t.Fatal(err)
		}
		if b[0] == '$' {
			c.frame()
			continue
		}
		var res base.Response
		if err := res.Unmarshal(c.r); err != nil {
			c.t.Fatal(err)
		}
		return &res
	}
}

// next returns the answer that has to come next, without media before it.
func (c *rawClient) next() *base.Response {
	c.t.Helper()
	var res base.Response
	if err := res.Unmarshal(c.r); err != nil {
		c.t.Fatal(err)
	}
	return &res
}

// frame returns the next interleaved frame.
func (c *rawClient) frame() (channel int, packet []byte) {
	c.t.Helper()
	var f base.InterleavedFrame
	if err := f.Unmarshal(c.r); err != nil {
		c.t.Fatal(err)
	}
	return f.Channel, f.Payload
}

// want fails unless the answer has the status, and returns it.
func (c *rawClient) want(res *base.Response, status base.StatusCode) *base.Response {
	c.t.Helper()
	if res.StatusCode != status {
		c.t.Fatalf("status %d, want %d: %v", res.StatusCode, status, res)
	}
	return res
}

const transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"

// play sets up one track and plays it.
func (c *rawClient) play(url string) (session string, play *base.Response) {
	c.t.Helper()
	c.want(c.do("DESCRIBE", url), base.StatusOK)
	bare, _, _ := strings.Cut(url, "?")
	setup := c.want(c.do("SETUP", trackURL(bare), transport), base.StatusOK)
	session = sessionID(setup)
	c.send("PLAY", url, "Session: "+session)
	return session, c.want(c.next(), base.StatusOK)
}

// trackURL is how ffmpeg builds a track's URL.
func trackURL(url string) string { return url + "/trackID=0" }

func (g *gateway) url(query string) string { return "rtsp://" + g.address + "/edge1/front" + query }

// A gortsplib client gets all pictures of a stream, beginning with a key frame.
func TestServer_plays(t *testing.T) {
	e, units := clipUnits(t, 100)
	f := newFeed(t, e)
	f.put(units...)
	g := newGateway(t, f, nil)

	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	pulled, err := rtsptest.Pull(ctx, "rtsp://wall:rtt_wall@"+g.address+"/edge1/front", 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := pulled.MatchClip("front"); err != nil {
		t.Error(err)
	}
	f.awaitReaders(t, 0)
	g.log.AwaitFields(t, 1, "message=viewer ended", "camera=edge1/front", "user=wall")
	logtest.NoSecret(t, g.log.String())
	if strings.Contains(g.log.String(), "rtt_") {
		t.Errorf("a token is in the log: %s", g.log)
	}
}

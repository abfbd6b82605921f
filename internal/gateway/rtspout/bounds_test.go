package rtspout_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtp"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

const brief = 100 * time.Millisecond // a time that a test shortens

// wantClosed fails unless the connection ends soon, without more answers.
func (c *rawClient) wantClosed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection is open: %q, %v", b, err)
	}
}

// A connection that sends no request, or sends one slowly, is closed.
func TestServer_slowRequests(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Request: brief})
	for name, text := range map[string]string{
		"silent":  "",
		"one":     "O",
		"partial": "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := g.dial(t)
			_, _ = io.WriteString(c, text)
			if text != "" { // what had arrived is answered
				c.want(c.answer(), 400)
			}
			c.wantClosed()
		})
	}
	t.Run("after an answer", func(t *testing.T) {
		c := g.dial(t)
		c.want(c.do("OPTIONS", "*"), 200)
		c.wantClosed()
	})
}

// Bytes that arrive slowly do not extend the time of a request.
func TestServer_trickle(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Request: brief})
	c := g.dial(t)
	ticker := time.NewTicker(brief / 10)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := c.Write([]byte("OPTIONS ")); err != nil {
			c.wantReset(err)
			return
		}
	}
}

// wantReset fails if err is the test's own deadline.
func (c *rawClient) wantReset(err error) {
	c.t.Helper()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Error("the connection is open")
	}
}

// A connection that only asks for options is closed, because it does not log in.
func TestServer_neverLogsIn(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Login: brief})
	c := g.dial(t)
	ticker := time.NewTicker(brief / 10)
	defer ticker.Stop()
	for range ticker.C {
		c.cseq++
		if _, err := io.WriteString(c, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
			c.wantReset(err)
			return
		}
	}
}

// The lines about strangers are bounded.
func TestServer_refusalLines(t *testing.T) {
	g := newGateway(t, nil, nil)
	c := g.dial(t)
	const n = 1000
	for range n {
		c.want(c.do("DESCRIBE", g.url("/x/y/z?token=rtt_wall")), 404)
	}
	if got := g.Counters().Refused; got != n {
		t.Errorf("%d refusals are counted", got)
	}
	if lines := g.log.CountFields(t, "message=viewer refused"); lines < 100 || lines > n/2 {
		t.Errorf("%d lines", lines)
	}
}

// A connection above the limit makes the oldest stranger go; without a stranger it is
// refused. Players stay.
func TestServer_connections(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) { o.Limits.Connections = 2 })
	player := g.dial(t)
	session, _ := player.play(g.url("?token=rtt_wall"))
	stranger := g.dial(t)
	stranger.want(stranger.do("OPTIONS", "*"), 200)
	second := g.dial(t)
	stranger.wantClosed()
	second.want(second.do("DESCRIBE", g.url("?token=rtt_wall")), 200)

	third := g.dial(t)
	res := third.want(third.answer(), base.StatusNotEnoughBandwidth)
	if got := res.Header["X-Reason"]; len(got) != 1 || got[0][:24] != "viewer; LIMIT_CONNECTION" {
		t.Errorf("X-Reason %q", got)
	}
	third.wantClosed()
	player.want(player.do("GET_PARAMETER", g.url(""), "Session: "+session), 200)
	if n := g.Counters().Connections; n != 2 {
		t.Errorf("%d connections", n)
	}
}

// acquire is an Options.Acquire with limits.
func acquire(l viewer.Limits) func(camera string) (func(), error) {
	s := viewer.New(l)
	return func(camera string) (func(), error) { return s.Reserve(camera, netip.Addr{}) }
}

// The limits of viewers count those that play and those that hold a stream.
func TestServer_viewers(t *testing.T) {
	for name, limits := range map[string]viewer.Limits{"all": {Total: 2}, "camera": {PerCamera: 2}} {
		t.Run(name, func(t *testing.T) {
			f, _, _ := front(t)
			g := newGateway(t, f, func(o *rtspout.Options) { o.Acquire = acquire(limits) })
			url := g.url("?token=rtt_wall")
			a, b, c := g.dial(t), g.dial(t), g.dial(t)
			a.play(url)
			b.want(b.do("DESCRIBE", url), 200)
			b.want(b.do("DESCRIBE", url), 200) // instead of the first
			c.want(c.do("DESCRIBE", url), base.StatusNotEnoughBandwidth)
			d := g.dial(t)
			other := d.do("DESCRIBE", "rtsp://"+g.address+"/edge1/a%20b?token=rtt_wall")
			if want := map[string]base.StatusCode{"all": 453, "camera": 200}[name]; other.StatusCode != want {
				t.Errorf("another camera: %d, want %d", other.StatusCode, want)
			}
			d.Close()
			b.Close()
			f.awaitReaders(t, 1)
			c.want(c.do("DESCRIBE", url), 200)
		})
	}
}

// A DESCRIBE without a PLAY holds the stream for a short time. A later PLAY attaches again.
func TestServer_hold(t *testing.T) {
	f, first, second := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) { o.Acquire = acquire(viewer.Limits{Total: 1}) }, rtspout.Times{Hold: brief})
	c := g.dial(t)
	c.want(c.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
	f.awaitReaders(t, 1)
	f.awaitReaders(t, 0)
	session := sessionID(c.want(c.do("SETUP", trackURL(g.url("")), transport), 200))
	f.awaitReaders(t, 0)
	c.want(c.do("PLAY", g.url(""), "Session: "+session), 200)
	f.put(second)
	c.unit(0, second)
	c.want(c.do("PAUSE", g.url(""), "Session: "+session), 200)
	f.awaitReaders(t, 0)

	other := &media.Epoch{Tracks: []media.Track{{Codec: media.H265, ClockRate: 90000}}}
	f.put(&media.Unit{Epoch: other, Key: true, Packets: first.Packets})
	res := c.want(c.do("PLAY", g.url(""), "Session: "+session), 503)
	if got := res.Header["X-Reason"][0]; got[:21] != "media; TRACKS_CHANGED" {
		t.Errorf("X-Reason %q", got)
	}
	f.awaitReaders(t, 0)
}

// A player that hangs up while its stream opens ends the opening.
func TestServer_hangsUpWhileOpening(t *testing.T) {
	f := newFeed(t, nil, func(o *stream.Options) { o.Opening = time.Hour })
	f.block = make(chan struct{})
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.send("DESCRIBE", g.url("?token=rtt_wall"))
	f.awaitReaders(t, 1)
	c.Close()
	f.awaitReaders(t, 0)
}

// Requests that arrive while a stream opens are answered afterwards.
func TestServer_pipelinedWhileOpening(t *testing.T) {
	f, _, _ := front(t)
	f.block = make(chan struct{})
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.send("DESCRIBE", g.url("?token=rtt_wall"))
	f.awaitOpening(t, 1)
	c.send("OPTIONS", "*")
	c.send("OPTIONS", "*")
	close(f.block)
	if res := c.want(c.answer(), 200); len(res.Body) == 0 {
		t.Error("the first answer has no description")
	}
	c.want(c.answer(), 200)
	c.want(c.answer(), 200)
}

// A player that does not read is ended, and another one gets every unit.
func TestPlayer_stalls(t *testing.T) {
	e, units := clipUnits(t, 1)
	f := newFeed(t, e)
	f.put(units...)
	f.keep(t)
	g := newGateway(t, f, nil, rtspout.Times{Stall: time.Second})
	stalled, reader := g.dial(t), g.dial(t)
	stalled.play(g.url("?token=rtt_wall"))
	reader.play(g.url("?token=rtt_wall"))
	for i := range 1000 { // more than the sockets' buffers hold
		u := bigUnit(e, i)
		f.put(u)
		if p, _ := reader.rtpPacket(0); p.SequenceNumber != uint16(u.Seq) {
			t.Fatalf("number %d, want %d", p.SequenceNumber, u.Seq)
		}
	}
	g.log.AwaitFields(t, 1, "message=viewer ended", "hop=viewer", "reason=VIEWER_STALLED")
	if n := g.Count("rtsp").Stalled; n != 1 {
		t.Errorf("%d stalled players are counted", n)
	}
	f.awaitReaders(t, 2)
}

// bigUnit returns a key frame of 60 KB, the n-th after a first unit.
func bigUnit(e *media.Epoch, n int) *media.Unit {
	p := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 60000)}
	b, _ := p.Marshal()
	return &media.Unit{Epoch: e, PTS: int64(n+1) * 3600, DTS: int64(n+1) * 3600, Key: true, Packets: [][]byte{b}}
}

// A player that reads slowly misses whole groups of pictures: times jump, and numbers do not.
func TestPlayer_skips(t *testing.T) {
	e, units := clipUnits(t, 1)
	f := newFeed(t, e, func(o *stream.Options) { o.RingBytes = 1 << 20 })
	f.put(units...)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	last, _ := c.unit(0, units[0])
	last.SequenceNumber += uint16(len(units[0].Packets) - 1)
	const n = 500
	for i := range n {
		f.put(bigUnit(e, i))
	}
	jumps := 0
	for end := rtpTime(e, n*3600); last.Timestamp != end; {
		p, _ := c.rtpPacket(0)
		if p.SequenceNumber != last.SequenceNumber+1 {
			t.Fatalf("number %d after %d", p.SequenceNumber, last.SequenceNumber)
		}
		if p.Timestamp != last.Timestamp+3600 {
			jumps++
		}
		last = p
	}
	if jumps == 0 {
		t.Error("nothing was skipped")
	}
	if n := g.Viewers()[0].Skipped; n == 0 || n != g.Count("rtsp").Skipped {
		t.Errorf("skipped groups: %d, in all %d", n, g.Count("rtsp").Skipped)
	}
}

func rtpTime(e *media.Epoch, pts int64) uint32 { return uint32(e.Base[0] + pts) }

// A player that is killed is gone at once, though no media are sent.
func TestPlayer_killed(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	f.awaitReaders(t, 0)
	g.log.AwaitFields(t, 1, "message=viewer ended", "end=connection")
}

// A player whose host is gone has the reason of one that does not read.
func TestPlayer_unreachable(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lost, lose := context.WithCancel(t.Context())
	defer lose()
	served := make(chan error, 1)
	go func() { served <- g.Serve(lossyListener{ln, lost}) }()
	g.address = ln.Addr().String()
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	lose()
	c.wantClosed()
	g.log.AwaitFields(t, 1, "message=viewer ended", "hop=viewer", "reason=VIEWER_STALLED")
	g.Shutdown(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// lossyListener's connections end, when lost is done, like those to a host without power.
type lossyListener struct {
	net.Listener
	lost context.Context //nolint:containedctx // when the test cuts the network
}

func (l lossyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return lossyConn{c, l.lost}, err
}

type lossyConn struct {
	net.Conn
	lost context.Context //nolint:containedctx // when the test cuts the network
}

func (c lossyConn) Read(p []byte) (int, error) {
	stop := context.AfterFunc(c.lost, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := c.Conn.Read(p)
	if c.lost.Err() != nil {
		return 0, os.NewSyscallError("read", syscall.ETIMEDOUT)
	}
	return n, err
}

// An operator sees and ends players.
func TestServer_disconnect(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.play("rtsp://" + g.address + "/edge1/front/main?token=rtt_wall")
	c.unit(0, first)
	list := g.Viewers()
	if len(list) != 1 || list[0].Camera != "edge1/front" || list[0].Stream != "main" || list[0].Principal != "wall" || list[0].RemoteAddr != c.LocalAddr().String() {
		t.Fatalf("viewers: %+v", list)
	}
	if g.Disconnect("other", nil) {
		t.Error("disconnected an unknown player")
	}
	if !g.Disconnect(list[0].ID, failure.New(failure.Viewer, reason.ViewerClosed, nil)) {
		t.Error("not disconnected")
	}
	c.wantBye()
	g.log.AwaitFields(t, 1, "message=viewer ended", "reason=VIEWER_CLOSED")
	f.awaitReaders(t, 0)
}

// A change of tokens ends the players that they no longer allow.
func TestServer_Review(t *testing.T) {
	f, first, second := front(t)
	f.keep(t)
	g := newGateway(t, f, nil)
	wall, ops := g.dial(t), g.dial(t)
	wall.play(g.url("?start=live&token=rtt_wall"))
	wall.unit(0, first)
	ops.play(g.url("?start=live&token=rtt_ops"))
	ops.unit(0, first)
	g.Review(func(p rtspout.Principal, camera string) error {
		if p.Name == "wall" && camera == "edge1/front" {
			return failure.New(failure.Viewer, reason.AccessDenied, nil)
		}
		return nil
	})
	wall.wantBye()
	g.log.AwaitFields(t, 1, "message=viewer ended", "user=wall", "reason=ACCESS_DENIED")
	f.put(second)
	ops.unit(0, second)
}

// A player's token ends while it plays.
func TestPlayer_tokenExpires(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) {
		o.Authorize = func(rtspout.Login, string) (rtspout.Principal, error) {
			return rtspout.Principal{Name: "wall", Expires: time.Now().Add(brief)}, nil
		}
	})
	c := g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	c.wantBye()
	g.log.AwaitFields(t, 1, "message=viewer ended", "reason=ACCESS_EXPIRED")
}

// Shutdown ends players with a goodbye, ends openings, and refuses others.
func TestServer_Shutdown(t *testing.T) {
	f, first, _ := front(t)
	slow, _, _ := front(t)
	slow.block = make(chan struct{})
	g := newGateway(t, f, func(o *rtspout.Options) {
		o.Find = func(_ context.Context, name string) (*stream.Stream, error) {
			if name == "edge1/slow" {
				return slow.Stream, nil
			}
			return f.Stream, nil
		}
	})
	c, idle, opening := g.dial(t), g.dial(t), g.dial(t)
	c.play(g.url("?token=rtt_wall"))
	c.unit(0, first)
	idle.want(idle.do("OPTIONS", "*"), 200)
	opening.send("DESCRIBE", "rtsp://"+g.address+"/edge1/slow?token=rtt_wall")
	slow.awaitReaders(t, 1)

	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	g.Shutdown(ctx)
	if ctx.Err() != nil {
		t.Error("Shutdown took until its context ended")
	}
	c.wantBye()
	idle.wantClosed()
	f.awaitReaders(t, 0)
	slow.awaitReaders(t, 0)
	g.log.AwaitFields(t, 1, "message=viewer ended", "reason=SHUTTING_DOWN")
	if _, err := net.Dial("tcp", g.address); err == nil {
		t.Error("the listener is open")
	}
}

// A server that has never served shuts down, too.
func TestServer_Shutdown_notServing(t *testing.T) {
	s, err := rtspout.New(rtspout.Options{
		Find:      func(context.Context, string) (*stream.Stream, error) { return nil, nil },
		Authorize: authorize,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown(t.Context())
	if _, err := rtspout.New(rtspout.Options{}); err == nil {
		t.Error("a server without functions")
	}
}

// A TLS listener works like a plain one.
func TestServer_TLS(t *testing.T) {
	e, units := clipUnits(t, 30)
	f := newFeed(t, e)
	f.put(units...)
	g := newGateway(t, f, nil)
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(ln) }()

	nc, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := newRawClient(t, nc)
	c.play("rtsps://" + ln.Addr().String() + "/edge1/front?token=rtt_wall")
	for _, u := range units {
		c.unit(0, u)
	}
	g.Shutdown(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
	c.wantBye()
}

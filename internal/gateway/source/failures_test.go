package source_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/testkit/rtsptest"
)

const password = "example-canary" // in no error

// status returns an answer to one method.
func status(method, line string) func(string) string {
	return func(m string) string {
		if m == method {
			return "RTSP/1.0 " + line + "\r\n\r\n"
		}
		return ""
	}
}

// description returns an answer to DESCRIBE with these header lines and body.
func description(header, body string) func(string) string {
	return func(m string) string {
		if m == "DESCRIBE" {
			return "RTSP/1.0 200 OK\r\n" + header + "\r\n" + body
		}
		return ""
	}
}

// Each way in which a camera refuses or fails the dialogue has its hop and reason, and no
// error contains the login.
func TestOpen_refused(t *testing.T) {
	t.Parallel()
	good := sdp(h264Media)
	for _, test := range []struct {
		name   string
		camera script
		hop    failure.Hop
		code   reason.Code
	}{
		{"401", script{answer: status("DESCRIBE", "401 Unauthorized")}, failure.RTSP, reason.RTSPLogin},
		{"401 of an unknown kind", script{answer: status("DESCRIBE", "401 Unauthorized\r\nWWW-Authenticate: Magic")}, failure.RTSP, reason.RTSPLogin},
		{"403", script{answer: status("DESCRIBE", "403 Forbidden")}, failure.RTSP, reason.RTSPLogin},
		{"404", script{answer: status("DESCRIBE", "404 Not Found")}, failure.RTSP, reason.RTSPNotFound},
		{"404 at setup", script{sdp: good, answer: status("SETUP", "404 Not Found")}, failure.RTSP, reason.RTSPNotFound},
		{"453", script{sdp: good, answer: status("SETUP", "453 Not Enough Bandwidth")}, failure.RTSP, reason.RTSPBusy},
		{"503", script{sdp: good, answer: status("PLAY", "503 Service Unavailable")}, failure.RTSP, reason.RTSPBusy},
		{"461", script{sdp: good, answer: status("SETUP", "461 Unsupported Transport")}, failure.RTSP, reason.RTSPProtocol},
		{"500 with the login", script{answer: status("DESCRIBE", "500 viewer:"+password+"\x1b[31m")}, failure.RTSP, reason.RTSPProtocol},
		{"redirect", script{answer: status("DESCRIBE", "302 Found\r\nLocation: rtsp://127.0.0.1:1/")}, failure.RTSP, reason.RTSPProtocol},
		{"no description", script{answer: status("DESCRIBE", "200 OK")}, failure.RTSP, reason.RTSPProtocol},
		{"no sdp", script{answer: description("Content-Type: application/sdp\r\nContent-Length: 5\r\n", "hello")}, failure.RTSP, reason.RTSPProtocol},
		{"long sdp", script{answer: description("Content-Type: application/sdp\r\nContent-Length: 10000000\r\n", "v=0")}, failure.RTSP, reason.RTSPProtocol},
		{"bad base", script{answer: description("Content-Type: application/sdp\r\nContent-Base: http://x/\r\nContent-Length: 2\r\n", "v=")}, failure.RTSP, reason.RTSPProtocol},
		{"endless headers", script{answer: status("OPTIONS", "200 OK"+strings.Repeat("\r\nX: y", 1000))}, failure.RTSP, reason.RTSPProtocol},
		{"long header", script{answer: status("OPTIONS", "200 OK\r\nX: "+strings.Repeat("y", 10_000))}, failure.RTSP, reason.RTSPProtocol},
		{"http", script{answer: func(string) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }}, failure.RTSP, reason.RTSPProtocol},
		{"no transport", script{sdp: good, answer: status("SETUP", "200 OK")}, failure.RTSP, reason.RTSPProtocol},
		{"udp", script{sdp: good, answer: status("SETUP", "200 OK\r\nTransport: RTP/AVP;unicast;server_port=1-2")}, failure.RTSP, reason.RTSPProtocol},
		{"no media", script{sdp: sdp()}, failure.Media, reason.NoMedia},
		{"other codecs", script{sdp: sdp("m=video 0 RTP/AVP 96\na=rtpmap:96 VP9/90000", "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000")}, failure.Media, reason.NoMedia},
		{"back channel", script{sdp: sdp("m=video 0 RTP/AVP 96\na=rtpmap:96 VP9/90000", pcmuMedia+"\na=sendonly")}, failure.Media, reason.NoMedia},
		{"a control that is no url", script{sdp: strings.Replace(good, "trackID=0", "%zz#", 1)}, failure.Media, reason.NoMedia},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			err := openScript(t, test.camera, func(o *source.Options) { o.Username, o.Password = "viewer", password })
			checkFailure(t, err, test.hop, test.code)
			if text := err.Error(); strings.Contains(text, password) || strings.Contains(text, "\x1b") || len(text) > 600 {
				t.Errorf("the error holds the login or too much: %q", text)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("the answer took %v", d)
			}
		})
	}
}

func TestOpen_badURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "rtsp://", "rtsps://127.0.0.1/live", "http://127.0.0.1/live", "rtsp://viewer:" + password + "@127.0.0.1/live", "rtsp://[::1/" + password} {
		_, err := source.Open(t.Context(), source.Options{URL: url, Dial: func(context.Context) (net.Conn, error) {
			t.Errorf("%q: dialed", url)
			return nil, errors.New("dialed")
		}}, nil)
		checkFailure(t, err, failure.RTSP, reason.RTSPProtocol)
		if strings.Contains(err.Error(), password) {
			t.Errorf("the error holds the login: %v", err)
		}
	}
}

// The error of Dial is returned as it is.
func TestOpen_dial(t *testing.T) {
	t.Parallel()
	want := failure.New(failure.Module, reason.ModuleOffline, nil)
	_, err := source.Open(t.Context(), source.Options{
		URL:  "rtsp://localhost:554/live",
		Dial: func(context.Context) (net.Conn, error) { return nil, want },
	}, nil)
	if !errors.Is(err, want) {
		t.Errorf("err = %v, want the one of Dial", err)
	}
}

// A camera that redirects is asked once.
func TestOpen_redirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newCamera(t, rtsptest.Options{})
	var dials atomic.Int32
	err := openScript(t, script{answer: status("DESCRIBE", "302 Found\r\nLocation: "+other.URL())}, func(o *source.Options) {
		dial := o.Dial
		o.Dial = func(ctx context.Context) (net.Conn, error) { dials.Add(1); return dial(ctx) }
	})
	checkFailure(t, err, failure.RTSP, reason.RTSPProtocol)
	if !strings.Contains(err.Error(), "redirects") {
		t.Errorf("err = %v, which does not name the redirect", err)
	}
	if n := dials.Load(); n != 1 || other.Connections() != 0 {
		t.Errorf("dials = %d, connections with the other camera = %d, want 1 and 0", n, other.Connections())
	}
}

func TestOpen_logins(t *testing.T) {
	t.Parallel()
	for name, challenges := range map[string][]rtsptest.Challenge{
		"md5":     {rtsptest.DigestMD5},
		"sha-256": {rtsptest.DigestSHA256},
		"basic":   {rtsptest.Basic},
		"all":     {rtsptest.Basic, rtsptest.DigestMD5, rtsptest.DigestSHA256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{User: "viewer", Password: password, Challenges: challenges})
			o := options(t, camera.URL())
			_, err := open(t, o)
			checkFailure(t, err, failure.RTSP, reason.RTSPLogin)
			o.Username, o.Password = "viewer", "example-wrong"
			_, err = open(t, o)
			checkFailure(t, err, failure.RTSP, reason.RTSPLogin)
			o.Password = password
			play(t, o).next(t)
		})
	}
}

func TestOpen_cameraOfOneSession(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{MaxSessions: 1})
	first := play(t, options(t, camera.URL()))
	_, err := open(t, options(t, camera.URL()))
	checkFailure(t, err, failure.RTSP, reason.RTSPBusy)
	first.Close()
	first.Close() // does nothing
	checkFailure(t, first.Wait(), failure.Gateway, reason.StreamClosed)
}

// raw returns options whose connection is answered by serve.
func rawCamera(t *testing.T, serve func(net.Conn)) source.Options {
	t.Helper()
	client, camera := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { camera.Close(); <-done })
	go func() { defer close(done); serve(camera) }()
	return source.Options{
		URL:    "rtsp://localhost:554/live",
		Dial:   func(context.Context) (net.Conn, error) { return client, nil },
		Answer: 500 * time.Millisecond,
	}
}

// discard reads until the client has gone.
func discard(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// readOnce reads the client's first request.
func readOnce(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }

func TestOpen_connection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		serve  func(net.Conn)
		change func(*source.Options)
		hop    failure.Hop
		code   reason.Code
	}{
		{"no answer", discard, nil, failure.RTSP, reason.RTSPTimeout},
		{"half an answer", func(c net.Conn) { readOnce(c); _, _ = c.Write([]byte("RTSP/1.0 200 OK\r\n")); discard(c) }, nil, failure.RTSP, reason.RTSPTimeout},
		{"garbage", func(c net.Conn) { readOnce(c); _, _ = c.Write([]byte("\x16\x03\x01\x00")); discard(c) }, nil, failure.RTSP, reason.RTSPProtocol},
		{"end", func(c net.Conn) { readOnce(c); c.Close() }, nil, failure.Camera, reason.CameraClosed},
		{"break", discard, broken(errors.New("reset for viewer")), failure.Module, reason.TunnelLost},
		{"break of a direct source", discard, func(o *source.Options) { broken(errors.New("reset"))(o); o.Direct = true }, failure.Camera, reason.CameraLost},
		{"the tunnel's own failure", discard, broken(failure.New(failure.Module, reason.TunnelClosed, nil)), failure.Module, reason.TunnelClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := rawCamera(t, test.serve)
			if test.change != nil {
				test.change(&o)
			}
			_, err := open(t, o)
			checkFailure(t, err, test.hop, test.code)
		})
	}
}

// broken makes reads of the connection fail with err.
func broken(err error) func(*source.Options) {
	return func(o *source.Options) {
		dial := o.Dial
		o.Dial = func(ctx context.Context) (net.Conn, error) {
			c, dialErr := dial(ctx)
			return brokenConn{c, err}, dialErr
		}
	}
}

type brokenConn struct {
	net.Conn
	err error
}

func (c brokenConn) Read([]byte) (int, error) { return 0, c.err }

// The end of the context ends the opening at once, and not the session.
func TestOpen_context(t *testing.T) {
	t.Parallel()
	why := errors.New("the last reader has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := rawCamera(t, func(c net.Conn) { readOnce(c); cancel(why); discard(c) })
	o.Answer = time.Minute
	_, err := source.Open(ctx, o, nil)
	checkFailure(t, err, failure.Gateway, reason.StreamClosed)
	if !errors.Is(err, why) {
		t.Errorf("err = %v, want the cause", err)
	}

	removed := failure.New(failure.Gateway, reason.CameraRemoved, nil)
	ctx, cancel = context.WithCancelCause(t.Context())
	cancel(removed)
	o = rawCamera(t, discard)
	if _, err := source.Open(ctx, o, nil); !errors.Is(err, removed) {
		t.Errorf("err = %v, want the cause", err)
	}

	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	o = rawCamera(t, discard)
	o.Answer = time.Minute
	_, err = source.Open(ctx, o, nil)
	checkFailure(t, err, failure.RTSP, reason.OpeningTimeout)

	camera := newCamera(t, rtsptest.Options{})
	ctx, end := context.WithCancel(t.Context())
	units := make(chan struct{}, 1000)
	s, err := source.Open(ctx, options(t, camera.URL()), unitsTo(units))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	end()
	for range 50 {
		<-units
	}
}

// Each way in which a session ends has its hop and reason.
func TestSession_ends(t *testing.T) {
	t.Parallel()
	packet := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true}, Payload: []byte{0x1c}}
	for _, test := range []struct {
		name string
		play func(*wire)
		hop  failure.Hop
		code reason.Code
	}{
		{"silence", (*wire).wait, failure.Media, reason.MediaStopped},
		{"the camera ends", func(*wire) {}, failure.Camera, reason.CameraClosed},
		{"unreadable packets", func(w *wire) {
			w.repeat(func(i int) {
				packet.SequenceNumber = uint16(i)
				w.rtp(0, packet)
			})
		}, failure.Media, reason.MediaInvalid},
		{"packets of another type", func(w *wire) {
			w.repeat(func(int) { w.frame(0, []byte{0x80, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x65}) })
		}, failure.Media, reason.MediaInvalid},
		{"no rtp", func(w *wire) { w.repeat(func(int) { w.frame(0, []byte{1}) }) }, failure.Media, reason.MediaInvalid},
		{"key frames without parameter sets", func(w *wire) {
			w.repeat(func(i int) {
				w.rtp(0, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: true, SequenceNumber: uint16(i), Timestamp: uint32(i)}, Payload: []byte{0x65, 1}})
			})
		}, failure.Media, reason.MediaInvalid},
		{"a request of the camera", func(w *wire) {
			_, _ = w.conn.Write([]byte("TEARDOWN rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
			w.wait()
		}, failure.RTSP, reason.RTSPProtocol},
		{"a broken answer", func(w *wire) {
			_, _ = w.conn.Write([]byte("RTSP/9.9 hello\r\n\r\n"))
			w.wait()
		}, failure.RTSP, reason.RTSPProtocol},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, script{sdp: sdp(h264Media), play: test.play}.start(t))
			o.Silence = 600 * time.Millisecond
			f := play(t, o).wait(t)
			checkFailure(t, f, test.hop, test.code)
		})
	}
}

// A camera that goes silent in the middle is stopped media, though it still answers.
func TestSession_silentCamera(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Change: rtsptest.SilentFrom(10)})
	o := options(t, camera.URL())
	o.Silence = time.Second
	p := play(t, o)
	f := p.wait(t)
	checkFailure(t, f, failure.Media, reason.MediaStopped)
	if f.Since.IsZero() || len(p.units) != 10 {
		t.Errorf("since = %v, units = %d, want a time and 10", f.Since, len(p.units))
	}
}

// The library ends a silent session, too, if it is sooner: that is the same reason.
func TestSession_silentForTheLibrary(t *testing.T) {
	t.Parallel()
	o := options(t, script{sdp: sdp(h264Media), play: (*wire).wait}.start(t))
	o.Answer, o.Silence = time.Second, time.Minute
	checkFailure(t, play(t, o).wait(t), failure.Media, reason.MediaStopped)
}

// A camera that takes no bytes does not delay Close for long.
func TestSession_Close_stuckCamera(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	client, camera := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { camera.Close(); <-done })
	go func() {
		defer close(done)
		s := script{sdp: sdp(h264Media), play: func(*wire) {}}
		b := make([]byte, 4096)
		for seq := 1; ; seq++ {
			n, err := camera.Read(b)
			if err != nil {
				return
			}
			method, _, _ := strings.Cut(string(b[:n]), " ")
			if _, err := camera.Write([]byte(s.usual(method, 0))); err != nil {
				return
			}
			if method == "PLAY" {
				break
			}
		}
		close(stuck) // and never read again
	}()
	s, err := source.Open(t.Context(), source.Options{
		URL: "rtsp://localhost:554/live", Dial: func(context.Context) (net.Conn, error) { return client, nil },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-stuck
	begin := time.Now()
	s.Close()
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("Close took %v", d)
	}
}

// The session is kept alive in the time that the camera sets, with the method that it offers,
// and an answer with a body does no harm.
func TestSession_keepAlive(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	camera := script{sdp: sdp(pcmuMedia), play: (*wire).wait, answer: func(method string) string {
		switch method {
		case "OPTIONS":
			return "RTSP/1.0 200 OK\r\nPublic: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n\r\n"
		case "SETUP":
			return "RTSP/1.0 200 OK\r\nSession: 1;timeout=6\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
		case "GET_PARAMETER":
			asked <- method
			return "RTSP/1.0 200 OK\r\nContent-Type: text/parameters\r\nContent-Length: 2\r\n\r\nok"
		case "TEARDOWN":
			asked <- method
		}
		return ""
	}}
	p := playScript(t, camera)
	for range 2 { // one a second
		if got := <-asked; got != "GET_PARAMETER" {
			t.Errorf("asked %s, want GET_PARAMETER", got)
		}
	}
	p.Close()
	if got := <-asked; got != "TEARDOWN" {
		t.Errorf("asked %s, want TEARDOWN", got)
	}
	checkFailure(t, p.Wait(), failure.Gateway, reason.StreamClosed)
}

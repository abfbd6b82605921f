package mse_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/mse"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) {
	if target := os.Getenv(drainVariable); target != "" { // see BenchmarkFanOut
		drain(target)
		return
	}
	goleak.VerifyTestMain(m)
}

// camera is a camera whose sessions a test drives.
type camera struct {
	*stream.Stream
	clip   []rtsptest.AccessUnit
	opened chan *session
	refuse chan error // an opening takes one, if there is one, and waits for nothing else
	hold   chan struct{}
}

// session is one session of the camera.
type session struct {
	camera  *camera
	epoch   *media.Epoch
	deliver func(*media.Unit)
	ended   chan error
	closed  chan struct{}
	once    sync.Once
	n       int
}

func (s *session) Wait() error { return <-s.ended }
func (s *session) Close()      { s.end(nil) }
func (s *session) end(err error) {
	s.once.Do(func() { s.ended <- err; close(s.closed) })
}

const frame = 3600 // ticks

// picture sends the next picture of the clip; a key frame if asked.
func (s *session) picture(key bool) *media.Unit {
	payload := s.camera.clip[1]
	if key {
		payload = s.camera.clip[0]
	}
	u := &media.Unit{Epoch: s.epoch, PTS: int64(s.n) * frame, DTS: int64(s.n) * frame, Wall: time.Now(), Key: key, Payload: payload}
	s.n++
	s.deliver(u)
	return u
}

// sound sends a packet of sound beside the next picture.
func (s *session) sound() {
	at := int64(s.n) * frame * 8000 / 90000
	s.deliver(&media.Unit{Epoch: s.epoch, Track: 1, PTS: at, DTS: at, Wall: time.Now(), Key: true, Payload: [][]byte{make([]byte, 160)}})
}

func newCamera(tb testing.TB, tracks ...media.Track) *camera {
	tb.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		tb.Fatal(err)
	}
	var p media.Parameters
	p.Update(media.H264, clip[0])
	if tracks == nil {
		tracks = []media.Track{media.Track{Codec: media.H264, ClockRate: 90000}.With(p), {Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}}
	}
	c := &camera{clip: clip, opened: make(chan *session, 8), refuse: make(chan error, 8), hold: make(chan struct{})}
	close(c.hold)
	c.Stream = stream.New(stream.Options{
		Name: "edge1/front/main", Grace: -1, Lag: time.Minute, RingAge: time.Minute,
		Open: func(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
			progress(failure.Hub)
			select {
			case <-c.hold:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			progress(failure.RTSP)
			select {
			case err := <-c.refuse:
				return nil, err
			default:
			}
			s := &session{camera: c, epoch: &media.Epoch{Tracks: tracks, Begin: time.Now()}, deliver: deliver, ended: make(chan error, 1), closed: make(chan struct{})}
			c.opened <- s
			return s, nil
		},
	})
	tb.Cleanup(func() { c.Close(nil) })
	return c
}

// site is the output with one camera.
type site struct {
	*httptest.Server
	out       *mse.Output
	viewers   *viewer.Set
	principal access.Principal
}

func newSite(t *testing.T, c *camera) *site {
	t.Helper()
	s := &site{viewers: viewer.New(viewer.Limits{}), principal: access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"*"}}}
	s.out = mse.New(mse.Options{
		Find: func(_ context.Context, name string) (*stream.Stream, error) {
			if name != "edge1/front/main" {
				return nil, failure.New(failure.Viewer, reason.CameraUnknown, nil)
			}
			return c.Stream, nil
		},
		Viewers: s.viewers, Log: zerolog.Nop(),
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		camera := strings.TrimPrefix(r.URL.Path, "/")
		s.out.ServeLive(w, r, live.Request{Camera: camera, Stream: "main", Principal: s.principal, From: netip.MustParseAddr("127.0.0.1")})
	}))
	t.Cleanup(func() {
		s.viewers.Shutdown(t.Context())
		s.Close()
	})
	return s
}

// client is one viewer.
type client struct {
	*websocket.Conn
	t *testing.T
}

func (s *site) dial(t *testing.T) *client {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{mse.Protocol, "token.rtt_x"}, HandshakeTimeout: patience}
	conn, answer, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/edge1/front", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if conn.Subprotocol() != mse.Protocol {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return &client{conn, t}
}

const patience = 30 * time.Second

type text struct {
	Type    string
	Hop     string
	MIME    string
	Epoch   int
	Media   float64
	Wall    int64
	Now     int64
	Groups  int
	Video   *struct{ Width, Height int }
	Audio   *struct{ Codec string }
	Failure struct{ Hop, Reason, Message string }
}

// next returns the next message: a text, or binary data.
func (c *client) next() (text, []byte) {
	c.t.Helper()
	kind, b, err := c.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	var m text
	if kind == websocket.BinaryMessage {
		return m, b
	}
	if err := json.Unmarshal(b, &m); err != nil {
		c.t.Fatal(err)
	}
	return m, nil
}

// text returns the next text of a type, and skips all others.
func (c *client) text(kind string) text {
	c.t.Helper()
	for {
		if m, _ := c.next(); m.Type == kind {
			return m
		}
	}
}

// binary returns the next binary message.
func (c *client) binary() []byte {
	c.t.Helper()
	for {
		if _, b := c.next(); b != nil {
			return b
		}
	}
}

// streamOptions are of a stream whose readers may be a few pictures behind.
func streamOptions() stream.Options {
	return stream.Options{Grace: -1, Lag: time.Nanosecond, RingAge: time.Minute, RingBytes: 4 << 20}
}

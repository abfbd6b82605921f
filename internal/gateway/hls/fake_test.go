package hls_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hls"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// camera is a camera whose sessions a test drives. Its pictures come as fast as the test sends
// them: their times are those of 25 pictures a second.
type camera struct {
	*stream.Stream
	clip   []rtsptest.AccessUnit
	opened chan *session

	mu     sync.Mutex
	tracks []media.Track
	refuse error
}

// session is one session of the camera.
type session struct {
	camera  *camera
	epoch   *media.Epoch
	deliver func(*media.Unit)
	ended   chan error
	once    sync.Once
	n       int
}

func (s *session) Wait() error   { return <-s.ended }
func (s *session) Close()        { s.end(nil) }
func (s *session) end(err error) { s.once.Do(func() { s.ended <- err }) }

const gop = 25 // pictures

// play sends n pictures with their sound. The first one is a key frame, and so is each 25th.
func (s *session) play(n int) {
	for range n {
		at := int64(s.n)
		payload := s.camera.clip[1]
		if at%gop == 0 {
			payload = s.camera.clip[0]
		}
		s.n++
		s.deliver(&media.Unit{
			Epoch: s.epoch, PTS: at * 3600, DTS: at * 3600, Wall: s.epoch.Begin.Add(time.Duration(at) * 40 * time.Millisecond),
			Key: at%gop == 0, Payload: payload,
		})
		if len(s.epoch.Tracks) > 1 {
			rate := int64(s.epoch.Tracks[1].ClockRate)
			frame := make([]byte, 320)
			s.deliver(&media.Unit{Epoch: s.epoch, Track: 1, PTS: at * rate / 25, DTS: at * rate / 25, Wall: time.Now(), Key: true, Payload: [][]byte{frame}})
		}
	}
}

// playUntil plays at about twenty times the speed until there is an answer, and on to the tenth
// picture of a group. A muxer begins at the newest key frame when it comes to read.
func (s *session) playUntil(answer <-chan reply) reply {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case a := <-answer:
			for s.n%gop != 10 {
				s.play(1)
			}
			return a
		case <-pace.C:
			s.play(1)
		}
	}
}

func pictures(t *testing.T) (media.Track, []rtsptest.AccessUnit) {
	t.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	var p media.Parameters
	p.Update(media.H264, clip[0])
	return media.Track{Codec: media.H264, ClockRate: 90000}.With(p), clip
}

var pcmu = media.Track{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}

func newCamera(t *testing.T, sound ...media.Track) *camera {
	t.Helper()
	video, clip := pictures(t)
	c := &camera{clip: clip, opened: make(chan *session, 8), tracks: append([]media.Track{video}, sound...)}
	c.Stream = stream.New(stream.Options{
		Name: "edge1/front/main", Grace: -1, Lag: time.Hour, RingAge: time.Hour,
		Open: func(_ context.Context, deliver func(*media.Unit), _ func(failure.Hop)) (stream.Session, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.refuse != nil {
				return nil, c.refuse
			}
			s := &session{camera: c, epoch: &media.Epoch{Tracks: c.tracks, Begin: time.Now()}, deliver: deliver, ended: make(chan error, 1)}
			c.opened <- s
			return s, nil
		},
	})
	t.Cleanup(func() { c.Close(nil) })
	return c
}

// site is the output with one camera, over HTTP.
type site struct {
	*httptest.Server
	out       *hls.Output
	viewers   *viewer.Set
	principal access.Principal
	playback  string
}

func newSite(t *testing.T, c *camera, limits viewer.Limits) *site {
	t.Helper()
	s := &site{
		viewers: viewer.New(limits), playback: "p=mark",
		principal: access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"*"}},
	}
	s.out = hls.New(hls.Options{
		Find: func(_ context.Context, name string) (*stream.Stream, error) {
			if name != "edge1/front/main" {
				return nil, failure.New(failure.Viewer, reason.CameraUnknown, nil)
			}
			return c.Stream, nil
		},
		Viewers: s.viewers, Log: zerolog.Nop(),
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.out.ServeLive(w, r, live.Request{
			Camera: strings.Trim(path.Dir(r.URL.Path), "/"), Stream: "main", File: path.Base(r.URL.Path), Principal: s.principal,
			From: netip.MustParseAddr("127.0.0.1"), Playback: s.playback,
		})
	}))
	t.Cleanup(func() {
		s.viewers.Shutdown(t.Context())
		s.out.Shutdown(t.Context())
		s.Close()
	})
	return s
}

// reply is an answer that was read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// ask requests a file of the camera.
func (s *site) ask(t *testing.T, file string) reply {
	t.Helper()
	a, err := s.try(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *site) try(ctx context.Context, file string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/edge1/front/"+file, nil)
	if err != nil {
		return reply{}, err
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, b}, err
}

// later asks without waiting for the answer.
func (s *site) later(t *testing.T, file string) <-chan reply {
	t.Helper()
	c := make(chan reply, 1)
	go func() {
		a, err := s.try(t.Context(), file)
		if err != nil {
			a.body = []byte(err.Error())
		}
		c <- a
	}()
	return c
}

func (a reply) wantProblem(t *testing.T, status int, code reason.Code) {
	t.Helper()
	var p struct{ Reason string }
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != status || p.Reason != string(code) {
		t.Errorf("answer %d %s, want %d %s", a.status, a.body, status, code)
	}
}

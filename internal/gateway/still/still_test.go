package still_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/still"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "edge1/front/main"

// site is the output with one camera, which sends one key frame when it opens.
type site struct {
	*httptest.Server
	stream  *stream.Stream // what Find returns
	known   *stream.Stream
	store   *still.Store
	viewers *viewer.Set
	opens   int
	refuse  error
}

type session struct{ ended chan struct{} }

func (s session) Wait() error { <-s.ended; return context.Canceled }
func (s session) Close()      { close(s.ended) }

// h264 returns the epoch and the key frame of a clip.
func h264(t *testing.T) *media.Unit {
	t.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	var p media.Parameters
	p.Update(media.H264, clip[0])
	track := media.Track{Codec: media.H264, ClockRate: 90000}.With(p)
	return &media.Unit{Epoch: &media.Epoch{Tracks: []media.Track{track}, Begin: time.Now()}, Key: true, Payload: clip[0], Wall: time.Now()}
}

func newSite(t *testing.T, key func() *media.Unit) *site {
	t.Helper()
	s := &site{store: still.NewStore(0), viewers: viewer.New(viewer.Limits{Total: 1})}
	s.stream = stream.New(stream.Options{
		Name: name, Grace: -1,
		Open: func(_ context.Context, deliver func(*media.Unit), _ func(failure.Hop)) (stream.Session, error) {
			s.opens++
			if s.refuse != nil {
				return nil, s.refuse
			}
			deliver(key())
			return session{make(chan struct{})}, nil
		},
	})
	t.Cleanup(func() { s.stream.Close(nil) })
	out := still.New(still.Options{
		Find:    func(context.Context, string) (*stream.Stream, error) { s.known = s.stream; return s.stream, nil },
		Known:   func(string) *stream.Stream { return s.known },
		Viewers: s.viewers, Store: s.store,
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out.ServeLive(w, r, live.Request{Camera: "edge1/front", Stream: "main", From: netip.MustParseAddr("127.0.0.1")})
	}))
	t.Cleanup(s.Close)
	return s
}

// get asks for the picture with headers, which are pairs of a name and a value.
func (s *site) get(t *testing.T, query string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/still.mp4"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, b
}

func wantProblem(t *testing.T, answer *http.Response, body []byte, status int, code reason.Code) {
	t.Helper()
	var p struct{ Reason, Message string }
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%s: %q", answer.Status, body)
	}
	if answer.StatusCode != status || p.Reason != string(code) || p.Message == "" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %+v, cache %q, want %d %s", answer.Status, p, answer.Header.Get("Cache-Control"), status, code)
	}
}

func TestStill(t *testing.T) {
	s := newSite(t, func() *media.Unit { return h264(t) })
	answer, body := s.get(t, "")
	wantProblem(t, answer, body, http.StatusNotFound, reason.NoPicture)
	answer, body = s.get(t, "?open=0")
	wantProblem(t, answer, body, http.StatusNotFound, reason.NoPicture)
	if s.opens != 0 {
		t.Fatal("a still picture opened the camera")
	}

	answer, body = s.get(t, "?open=1")
	if answer.StatusCode != http.StatusOK || string(body[4:8]) != "ftyp" || answer.Header.Get("Content-Type") != "video/mp4" {
		t.Fatalf("%s %v: %d bytes", answer.Status, answer.Header, len(body))
	}
	if len(s.viewers.List()) != 0 || s.opens != 1 {
		t.Errorf("%d viewers after %d openings", len(s.viewers.List()), s.opens)
	}
	taken := s.stream.LastKey().Wall
	if got := answer.Header.Get("Last-Modified"); got != taken.UTC().Format(http.TimeFormat) {
		t.Errorf("last modified %s, want %s", got, taken)
	}
	if age := answer.Header.Get(still.AgeHeader); age == "" || answer.Header.Get(still.LiveHeader) == "" {
		t.Errorf("headers %v", answer.Header)
	}

	tag := answer.Header.Get("Etag")
	if answer, _ := s.get(t, "", "If-None-Match", tag); answer.StatusCode != http.StatusNotModified {
		t.Errorf("the same picture again: %s", answer.Status)
	}
	answer, part := s.get(t, "", "Range", "bytes=4-7")
	if answer.StatusCode != http.StatusPartialContent || string(part) != "ftyp" {
		t.Errorf("range: %s %q", answer.Status, part)
	}
}

// The header tells whether newer pictures follow, and so does the time of caching.
func TestStill_live(t *testing.T) {
	s := newSite(t, func() *media.Unit { return h264(t) })
	r, err := s.stream.Attach(t.Context(), stream.Want{})
	if err != nil {
		t.Fatal(err)
	}
	s.known = s.stream
	running, _ := s.get(t, "?open=1")
	if s.opens != 1 {
		t.Errorf("%d openings of a stream that is open", s.opens)
	}
	r.Close()
	s.stream.Close(nil)
	idle, _ := s.get(t, "")
	for answer, want := range map[*http.Response][2]string{running: {"true", "private, max-age=1"}, idle: {"false", "private, max-age=10"}} {
		if got := [2]string{answer.Header.Get(still.LiveHeader), answer.Header.Get("Cache-Control")}; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestStill_mjpeg(t *testing.T) {
	jpeg := []byte("\xff\xd8 a picture \xff\xd9")
	s := newSite(t, func() *media.Unit {
		return &media.Unit{
			Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.MJPEG, ClockRate: 90000}}}, Key: true, Wall: time.Now(), Payload: [][]byte{jpeg},
		}
	})
	answer, body := s.get(t, "?open=1")
	if answer.Header.Get("Content-Type") != "image/jpeg" || string(body) != string(jpeg) {
		t.Errorf("%s %s %q", answer.Status, answer.Header.Get("Content-Type"), body)
	}
}

func TestStill_soundAlone(t *testing.T) {
	s := newSite(t, func() *media.Unit {
		return &media.Unit{Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.PCMA, ClockRate: 8000}}}, Key: true, Wall: time.Now()}
	})
	answer, body := s.get(t, "?open=1")
	wantProblem(t, answer, body, http.StatusConflict, reason.CodecNotForOutput)
}

func TestStill_failures(t *testing.T) {
	s := newSite(t, func() *media.Unit { return h264(t) })
	s.refuse = failure.New(failure.Module, reason.ModuleOffline, nil)
	answer, body := s.get(t, "?open=1")
	wantProblem(t, answer, body, http.StatusBadGateway, reason.ModuleOffline)
	if answer.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	other, err := s.viewers.Add(viewer.Info{Camera: "edge1/front"}, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	answer, body = s.get(t, "?open=1")
	wantProblem(t, answer, body, http.StatusTooManyRequests, reason.LimitViewers)
}

// A dropped stream's picture stays; a removed camera's does not.
func TestStore(t *testing.T) {
	s := newSite(t, func() *media.Unit { return h264(t) })
	key := h264(t)
	s.store.Keep(name, nil)
	s.store.Keep(name, key)
	older := h264(t)
	older.Wall = key.Wall.Add(-time.Hour)
	s.store.Keep(name, older)
	if !s.store.Taken(name).Equal(key.Wall) {
		t.Errorf("taken %v, want %v", s.store.Taken(name), key.Wall)
	}
	if answer, _ := s.get(t, ""); answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	s.store.Forget("edge1/fron")
	if s.store.Taken(name).IsZero() {
		t.Error("another camera's removal dropped the picture")
	}
	s.store.Forget("edge1/front")
	answer, body := s.get(t, "")
	wantProblem(t, answer, body, http.StatusNotFound, reason.NoPicture)
}

func TestStore_bounded(t *testing.T) {
	const size = 1 << 10
	s := still.NewStore(4 * (size + 600))
	key := func(i int) *media.Unit {
		return &media.Unit{
			Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.MJPEG}}}, Wall: time.Unix(int64(i), 0), Payload: [][]byte{make([]byte, size)},
		}
	}
	of := func(i int) string { return fmt.Sprintf("edge1/cam%d/main", i) }
	for i := range 100 {
		s.Keep(of(i+1), key(i+1))
		if s.Taken(of(1)).IsZero() {
			t.Fatalf("a picture that is used was dropped after %d others", i)
		}
		s.Keep(of(1), key(1)) // uses it
	}
	var left []string
	for i := range 100 {
		if !s.Taken(of(i + 1)).IsZero() {
			left = append(left, of(i+1))
		}
	}
	if got := strings.Join(left, " "); got != "edge1/cam1/main edge1/cam98/main edge1/cam99/main edge1/cam100/main" {
		t.Errorf("kept %s", got)
	}
	large := key(1000)
	large.Payload[0] = make([]byte, 1<<20)
	s.Keep("edge1/large/main", large)
	if !s.Taken("edge1/large/main").IsZero() {
		t.Error("the store keeps more than its limit")
	}
	if s.Taken(of(100)).IsZero() {
		t.Error("a picture that is too large drops the others")
	}
}

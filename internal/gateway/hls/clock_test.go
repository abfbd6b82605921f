package hls_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/hls"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// bubble is the output without sockets, in a synctest bubble.
type bubble struct {
	out     *hls.Output
	viewers *viewer.Set
	camera  *camera
}

func newBubble(t *testing.T) *bubble {
	t.Helper()
	b := &bubble{camera: newCamera(t), viewers: viewer.New(viewer.Limits{})}
	b.out = hls.New(hls.Options{
		Find:    func(context.Context, string) (*stream.Stream, error) { return b.camera.Stream, nil },
		Viewers: b.viewers, Log: zerolog.Nop(), Muxers: 1,
	})
	t.Cleanup(func() { b.out.Shutdown(context.Background()) })
	return b
}

func (b *bubble) ask(t *testing.T, camera, file string) int {
	t.Helper()
	w := httptest.NewRecorder()
	b.out.ServeLive(w, httptest.NewRequest(http.MethodGet, "/"+file, nil), live.Request{
		Camera: camera, Stream: "main", File: file, Playback: "p=mark", From: netip.MustParseAddr("192.0.2.1"),
		Principal: access.Principal{Role: access.Viewer, Cameras: []string{"*"}},
	})
	return w.Code
}

// start asks for the index while the camera plays in real time.
func (b *bubble) start(t *testing.T) *session {
	t.Helper()
	answered := make(chan int, 1)
	go func() { answered <- b.ask(t, "edge1/front", "index.m3u8") }()
	s := <-b.camera.opened
	for range 2 * gop {
		s.play(1)
		<-time.NewTimer(40 * time.Millisecond).C
	}
	if status := <-answered; status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	return s
}

// A viewer is gone 10 s after its last request, and the muxer after a minute: then the camera
// closes.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.start(t)
		check := func(after time.Duration, viewers, muxers, readers int) {
			t.Helper()
			<-time.NewTimer(after).C
			synctest.Wait()
			if v, m, r := len(b.viewers.List()), b.out.Muxers(), b.camera.State().Readers; v != viewers || m != muxers || r != readers {
				t.Errorf("%d viewers, %d muxers, %d readers; want %d, %d, %d", v, m, r, viewers, muxers, readers)
			}
		}
		check(8*time.Second, 1, 1, 1)
		b.ask(t, "edge1/front", "video1_stream.m3u8")
		check(9*time.Second, 1, 1, 1)
		check(2*time.Second, 0, 1, 1)
		check(47*time.Second, 0, 1, 1)
		check(3*time.Second, 0, 0, 0)
	})
}

// While the camera sends nothing, a request that waits gets the playlist as it is.
func TestPlaylist_waitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.start(t)
		began := time.Now()
		w := httptest.NewRecorder()
		list := httptest.NewRecorder()
		r := live.Request{Camera: "edge1/front", Stream: "main", File: "video1_stream.m3u8", Playback: "p=mark", From: netip.MustParseAddr("192.0.2.1")}
		b.out.ServeLive(list, httptest.NewRequest(http.MethodGet, "/", nil), r)
		p := parse(t, reply{list.Code, list.Header(), list.Body.Bytes()})
		b.out.ServeLive(w, httptest.NewRequest(http.MethodGet, "/?_HLS_msn="+strconv.Itoa(p.MediaSequence+len(p.Segments)), nil), r)
		if took := time.Since(began); w.Code != http.StatusOK || took != 3*time.Second || w.Body.String() != list.Body.String() {
			t.Errorf("status %d after %v", w.Code, took)
		}
	})
}

// The number of muxers is bounded: one that is not asked makes room.
func TestMuxers_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.start(t)
		if status := b.ask(t, "edge1/other", "index.m3u8"); status != http.StatusTooManyRequests {
			t.Errorf("status %d", status)
		}
		<-time.NewTimer(15 * time.Second).C
		done := make(chan int, 1)
		go func() { done <- b.ask(t, "edge1/other", "index.m3u8") }()
		synctest.Wait()
		if n := b.out.Muxers(); n != 1 {
			t.Errorf("%d muxers", n)
		}
		b.out.Shutdown(t.Context())
		if status := <-done; status != http.StatusServiceUnavailable {
			t.Errorf("status %d at the shutdown", status)
		}
	})
}

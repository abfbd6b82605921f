package mse_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/mse"
	"rtsptunnel/internal/gateway/viewer"
)

// samples reads an init segment, if there is one, and the fragments behind it.
func samples(t *testing.T, b []byte) (tracks int, times []uint64) {
	t.Helper()
	if bytes.Contains(b[:8], []byte("ftyp")) {
		at := bytes.Index(b, []byte("moof"))
		if at < 0 {
			at = len(b) + 4
		}
		var init fmp4.Init
		if err := init.Unmarshal(bytes.NewReader(b[:at-4])); err != nil {
			t.Fatal(err)
		}
		tracks, b = len(init.Tracks), b[at-4:]
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		times = append(times, p.Tracks[0].BaseTime)
	}
	return tracks, times
}

// The viewer that opens the camera learns the hops, and then gets the first picture.
func TestOpening(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.hold = make(chan struct{})
	v := newSite(t, c).dial(t)
	if got := v.text("opening"); got.Hop != "hub" {
		t.Errorf("hop %s", got.Hop)
	}
	close(c.hold)
	s := <-c.opened
	for hop := ""; hop != "media"; {
		hop = v.text("opening").Hop
	}
	s.picture(true)
	init := v.text("init")
	if init.MIME != `video/mp4; codecs="avc1.42C01F,flac"` || init.Video == nil || init.Video.Width != 640 || init.Audio == nil || init.Audio.Codec != "PCMU" {
		t.Errorf("init %+v", init)
	}
	if tracks, times := samples(t, v.binary()); tracks != 2 || len(times) != 1 {
		t.Errorf("%d tracks, pictures at %v", tracks, times)
	}
}

// A viewer of an open stream gets everything from the newest key frame on in one message, the
// clock, and then a message for each unit.
func TestJoin(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	site := newSite(t, c)
	first := site.dial(t)
	s := <-c.opened
	s.picture(true)
	first.binary()
	s.picture(false)
	s.picture(true)
	s.picture(false)
	s.sound()
	newest := s.picture(false)
	for range 5 {
		first.binary()
	}
	second := site.dial(t)
	second.text("init")
	tracks, times := samples(t, second.binary())
	if tracks != 2 || len(times) != 4 {
		t.Errorf("%d tracks, units at %v", tracks, times)
	}
	clock := second.text("clock")
	if want := float64(newest.PTS) / 90000; clock.Media != want || clock.Wall != newest.Wall.UnixMilli() || clock.Now < clock.Wall {
		t.Errorf("clock %+v, want %v at %d", clock, want, newest.Wall.UnixMilli())
	}
	u := s.picture(false)
	for _, v := range []*client{first, second} {
		if _, times := samples(t, v.binary()); len(times) != 1 || times[0] != uint64(u.DTS+u.Epoch.Base[0]) {
			t.Errorf("picture at %v", times)
		}
	}
	builds := 0
	if b := u.Memo(media.Fragment, func(*media.Unit) []byte { builds++; return nil }); builds != 0 || len(b) == 0 {
		t.Error("viewers do not share the fragment")
	}
}

// When the session ends, the viewer learns why and when the stream opens again, and gets another
// init segment then.
func TestReopening(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	v := newSite(t, c).dial(t)
	s := <-c.opened
	s.picture(true)
	v.binary()
	s.end(failure.New(failure.Camera, reason.CameraRefused, nil))
	if got := v.text("reopening"); got.Failure.Hop != "camera" || got.Failure.Reason != "CAM_REFUSED" || got.Failure.Message == "" {
		t.Errorf("failure %+v", got.Failure)
	}
	(<-c.opened).picture(true)
	if got := v.text("init"); got.Epoch != 2 {
		t.Errorf("epoch %d", got.Epoch)
	}
	if tracks, _ := samples(t, v.binary()); tracks != 2 {
		t.Errorf("%d tracks", tracks)
	}
}

// end reads the failure and the close frame.
func (c *client) end(wantReason string, wantCode int) {
	c.t.Helper()
	if got := c.text("error"); got.Failure.Reason != wantReason {
		c.t.Errorf("failure %+v, want %s", got.Failure, wantReason)
	}
	_, _, err := c.ReadMessage()
	if closed, ok := errors.AsType[*websocket.CloseError](err); !ok || closed.Code != wantCode || closed.Text != wantReason {
		c.t.Errorf("end %v, want %d", err, wantCode)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end    func(c *camera, s *site)
		reason string
		code   int
	}{
		"shutdown": {func(_ *camera, s *site) { s.viewers.Shutdown(context.Background()) }, "SHUTTING_DOWN", 1001},
		"operator": {func(_ *camera, s *site) {
			s.viewers.Disconnect(s.viewers.List()[0].ID, failure.New(failure.Viewer, reason.ViewerClosed, nil))
		}, "VIEWER_CLOSED", 1008},
		"token removed": {func(_ *camera, s *site) {
			s.viewers.Review(func(access.Principal, string) error { return failure.New(failure.Viewer, reason.AccessLogin, nil) })
		}, "ACCESS_LOGIN", 1008},
		"stream closed": {func(c *camera, _ *site) { c.Close(nil) }, "STREAM_CLOSED", 1011},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			site := newSite(t, c)
			v := site.dial(t)
			(<-c.opened).picture(true)
			v.binary()
			test.end(c, site)
			v.end(test.reason, test.code)
		})
	}
}

func TestOpening_fails(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.refuse <- failure.New(failure.RTSP, reason.RTSPLogin, nil)
	newSite(t, c).dial(t).end("RTSP_AUTH", 1011)
}

// A camera whose pictures no browser plays is a failure, even if it has sound.
func TestOpening_codec(t *testing.T) {
	t.Parallel()
	for _, tracks := range [][]media.Track{
		{{Codec: media.MJPEG, ClockRate: 90000}},
		{{Codec: media.MJPEG, ClockRate: 90000}, {Codec: media.PCMU, ClockRate: 8000}},
		{{Codec: media.H264, ClockRate: 90000}}, // its parameter sets are not known
	} {
		c := newCamera(t, tracks...)
		v := newSite(t, c).dial(t)
		s := <-c.opened
		s.picture(true)
		v.end("CODEC_NOT_FOR_OUTPUT", 1011)
	}
}

// A camera without pictures plays.
func TestSound(t *testing.T) {
	t.Parallel()
	c := newCamera(t, media.Track{Codec: media.PCMA, ClockRate: 8000, SampleRate: 8000})
	v := newSite(t, c).dial(t)
	s := <-c.opened
	s.deliver(&media.Unit{Epoch: s.epoch, PTS: 8000, DTS: 8000, Wall: time.Now(), Key: true, Payload: [][]byte{make([]byte, 160)}})
	if got := v.text("init"); got.Video != nil || got.Audio == nil || got.MIME != `audio/mp4; codecs="flac"` {
		t.Errorf("init %+v", got)
	}
	if tracks, times := samples(t, v.binary()); tracks != 1 || len(times) != 1 {
		t.Errorf("%d tracks, sound at %v", tracks, times)
	}
	if got := v.text("clock"); got.Media != 1 {
		t.Errorf("clock %+v", got)
	}
}

// A principal that may not listen gets pictures alone.
func TestSilent(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	site := newSite(t, c)
	site.principal = access.Principal{}
	v := site.dial(t)
	(<-c.opened).picture(true)
	if got := v.text("init"); got.Audio != nil || got.MIME != `video/mp4; codecs="avc1.42C01F"` {
		t.Errorf("init %+v", got)
	}
	if tracks, _ := samples(t, v.binary()); tracks != 1 {
		t.Errorf("%d tracks", tracks)
	}
}

// A viewer that leaves ends at once, while the camera opens and while no media come, and the
// stream closes with its last viewer.
func TestLeaves(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(c *client){
		"close frame": func(c *client) {
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		},
		"reset": func(c *client) {
			if tcp, ok := c.NetConn().(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.NetConn().Close()
		},
		"too much": func(c *client) { _ = c.WriteMessage(websocket.BinaryMessage, make([]byte, 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			c.hold = make(chan struct{})
			site := newSite(t, c)
			v := site.dial(t)
			v.text("opening")
			leave(v)
			awaitNone(t, site.viewers)

			close(c.hold)
			v = site.dial(t)
			s := <-c.opened
			s.picture(true)
			v.binary()
			leave(v)
			awaitNone(t, site.viewers)
			<-s.closed
		})
	}
}

// awaitNone waits until there is no viewer.
func awaitNone(t *testing.T, s *viewer.Set) {
	t.Helper()
	await(t, func() bool { return len(s.List()) == 0 })
}

// A viewer that does not read costs the others nothing, and goes on at a key frame.
func TestSlow(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	c.Configure(streamOptions())
	site := newSite(t, c)
	slow, fast := site.dial(t), site.dial(t)
	s := <-c.opened
	s.picture(true)
	slow.binary()
	fast.binary()
	for range 40 { // more than the kernel's buffers hold
		for i := range 2 {
			s.deliver(s.big(i == 0))
			fast.binary()
		}
	}
	if got := slow.text("skipped"); got.Groups < 1 {
		t.Errorf("skipped %d groups", got.Groups)
	}
	if _, times := samples(t, slow.binary()); len(times) != 1 || times[0]/frame%2 != 1 {
		t.Errorf("it goes on with the picture at %v, which is no key frame", times)
	}
	var skipped uint64
	for _, v := range site.viewers.List() {
		skipped += v.Skipped
	}
	if skipped == 0 {
		t.Error("nothing is counted as skipped")
	}
}

// big returns a picture of 1 MiB.
func (s *session) big(key bool) *media.Unit {
	u := &media.Unit{Epoch: s.epoch, PTS: int64(s.n) * frame, DTS: int64(s.n) * frame, Wall: time.Now(), Key: key, Payload: [][]byte{bigPicture}}
	s.n++
	return u
}

var bigPicture = append([]byte{0x41}, bytes.Repeat([]byte{0xAB}, 1<<20)...)

// A viewer that does not read at all ends.
func TestStalled(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	site := newSite(t, c)
	site.out.SetStall(100 * time.Millisecond)
	site.dial(t)
	s := <-c.opened
	s.picture(true)
	await(t, func() bool { s.deliver(s.big(true)); return len(site.viewers.List()) == 0 })
	if got := site.viewers.Count(mse.Name).Stalled; got != 1 {
		t.Errorf("%d viewers stalled", got)
	}
}

// A viewer that does not read does not delay its end either: as one that leaves, and at shutdown.
func TestStalled_ends(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(v *client, s *site){
		"leaves": func(v *client, _ *site) {
			_ = v.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
		},
		"shutdown": func(_ *client, s *site) { s.viewers.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			site := newSite(t, c)
			site.out.SetStall(time.Hour)
			v := site.dial(t)
			s := <-c.opened
			s.picture(true)
			last := uint64(0)
			await(t, func() bool { // until the kernel's buffers are full
				s.deliver(s.big(true))
				sent := site.viewers.Count(mse.Name).Bytes
				full := sent == last && s.n > 40
				last = sent
				return full
			})
			end(v, site)
			awaitNone(t, site.viewers)
			if got := site.viewers.Count(mse.Name).Stalled; got != 0 {
				t.Errorf("%d viewers stalled", got)
			}
		})
	}
}

// If more is kept than a browser decodes at once, the viewer gets the key frame alone, and goes on
// at the next one.
func TestJoin_long(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	site := newSite(t, c)
	first := site.dial(t)
	s := <-c.opened
	s.picture(true)
	first.binary()
	for range 6*25 + 1 {
		s.picture(false)
		first.binary()
	}
	second := site.dial(t)
	if _, times := samples(t, second.binary()); len(times) != 1 || times[0] != 0 {
		t.Errorf("kept pictures at %v", times)
	}
	s.picture(false)
	key := s.picture(true)
	if _, times := samples(t, second.binary()); len(times) != 1 || times[0] != uint64(key.DTS) {
		t.Errorf("it goes on at %v, want %d", times, key.DTS)
	}
}

// A camera that changes its parameters while its session lasts begins a new epoch.
func TestEpoch(t *testing.T) {
	t.Parallel()
	c := newCamera(t)
	v := newSite(t, c).dial(t)
	s := <-c.opened
	s.picture(true)
	if got := v.text("init"); got.Epoch != 1 || got.Audio == nil {
		t.Errorf("init %+v", got)
	}
	v.binary()
	s.epoch, s.n = &media.Epoch{Tracks: s.epoch.Tracks[:1], Begin: time.Now()}, 0
	key := s.picture(true)
	if got := v.text("init"); got.Epoch != 2 || got.Audio != nil {
		t.Errorf("init %+v", got)
	}
	if tracks, times := samples(t, v.binary()); tracks != 1 || len(times) != 1 || times[0] != uint64(key.Epoch.Base[0]) {
		t.Errorf("%d tracks, pictures at %v, want %d", tracks, times, key.Epoch.Base)
	}
}

// Requests that are no WebSocket, or for unknown cameras, get a problem document.
func TestRefused(t *testing.T) {
	t.Parallel()
	site := newSite(t, newCamera(t))
	for path, want := range map[string]struct {
		upgrade string
		status  int
		reason  string
	}{
		"/edge1/front": {"", http.StatusUpgradeRequired, "REQ_UPGRADE"},
		"/edge1/yard":  {"websocket", http.StatusNotFound, "CAM_UNKNOWN"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want.upgrade != "" {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", want.upgrade)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Reason string }
		if err := json.NewDecoder(answer.Body).Decode(&got); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want.status || got.Reason != want.reason {
			t.Errorf("%s: %d %s", path, answer.StatusCode, got.Reason)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

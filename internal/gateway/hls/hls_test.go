package hls_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/viewer"
)

const videoList = "video1_stream.m3u8"

// list asks for a media playlist.
func (s *site) list(t *testing.T, file string) *playlist.Media {
	t.Helper()
	return parse(t, s.ask(t, file))
}

func parse(t *testing.T, a reply) *playlist.Media {
	t.Helper()
	var p playlist.Media
	if err := p.Unmarshal(a.body); err != nil || a.status != http.StatusOK {
		t.Fatalf("answer %d %s: %v", a.status, a.body, err)
	}
	if a.header.Get("Cache-Control") != "no-cache" || a.header.Get("Content-Type") != "application/vnd.apple.mpegurl" {
		t.Errorf("header %v", a.header)
	}
	return &p
}

// start asks for the index, and plays until there is an answer.
func (s *site) start(t *testing.T, c *camera) (*session, reply) {
	t.Helper()
	index := s.later(t, "index.m3u8?token=secret")
	session := <-c.opened
	return session, session.playUntil(index)
}

func TestPlaylists(t *testing.T) {
	c := newCamera(t, pcmu)
	s := newSite(t, c, viewer.Limits{})
	session, answer := s.start(t, c)
	var index playlist.Multivariant
	if err := index.Unmarshal(answer.body); err != nil {
		t.Fatalf("%d %s: %v", answer.status, answer.body, err)
	}
	if strings.Contains(string(answer.body), "secret") {
		t.Errorf("the index has the token: %s", answer.body)
	}
	v := index.Variants[0]
	if v.URI != videoList+"?p=mark" || strings.Join(v.Codecs, " ") != "avc1.42c01f flac" || len(index.Renditions) != 1 ||
		*index.Renditions[0].URI != "audio2_stream.m3u8?p=mark" {
		t.Errorf("index %s", answer.body)
	}

	p := s.list(t, v.URI)
	last := p.Segments[len(p.Segments)-1]
	if len(p.Segments) != 7 || last.Gap || !p.Segments[5].Gap || p.TargetDuration != 1 || !p.ServerControl.CanBlockReload ||
		p.ServerControl.CanSkipUntil != nil || len(last.Parts) != 5 || last.DateTime == nil || !last.Parts[0].Independent {
		t.Errorf("playlist %+v", p)
	}
	if *p.DiscontinuitySequence > 1000 {
		t.Errorf("discontinuity %d is too large for hls.js", *p.DiscontinuitySequence)
	}
	for _, uri := range []string{p.Map.URI, last.URI, last.Parts[0].URI, p.PreloadHint.URI} {
		if !strings.HasSuffix(uri, ".mp4?p=mark") {
			t.Errorf("URI %s", uri)
		}
	}
	whole := s.ask(t, last.URI)
	var parts []byte
	for _, part := range last.Parts {
		parts = append(parts, s.ask(t, part.URI).body...)
	}
	if string(whole.body) != string(parts) || len(parts) == 0 || whole.header.Get("Cache-Control") != "public, max-age=600, immutable" ||
		whole.header.Get("Content-Type") != "video/mp4" || whole.header.Get("Etag") == "" {
		t.Errorf("a segment of %d bytes, parts of %d; header %v", len(whole.body), len(parts), whole.header)
	}
	if init := s.ask(t, p.Map.URI); string(init.body[4:8]) != "ftyp" {
		t.Errorf("init segment %q", init.body)
	}

	session.play(gop)
	sound := s.list(t, fmt.Sprintf("audio2_stream.m3u8?_HLS_msn=%d", p.MediaSequence+7))
	if a := s.ask(t, sound.Segments[6].URI); a.header.Get("Content-Type") != "audio/mp4" || len(a.body) < 16000 {
		t.Errorf("sound of %d bytes, header %v", len(a.body), a.header)
	}
}

// A request waits for the part that it names, and no longer.
func TestPlaylist_blocks(t *testing.T) {
	c := newCamera(t)
	s := newSite(t, c, viewer.Limits{})
	session, _ := s.start(t, c)
	p := s.list(t, videoList)
	next := p.MediaSequence + len(p.Segments)
	file := func(number, part int) string {
		return fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", videoList, number, part)
	}
	if got := s.list(t, file(next-1, 99)); len(got.Parts) == 0 { // the first part of the next segment
		t.Error("no part")
	}
	blocked, hinted := s.later(t, file(next, len(p.Parts))), s.later(t, p.PreloadHint.URI)
	select {
	case a := <-blocked:
		t.Fatalf("answer before the part: %s", a.body)
	default:
	}
	session.play(5)
	got := parse(t, <-blocked)
	if len(got.Parts) <= len(p.Parts) || got.Parts[len(p.Parts)].URI != p.PreloadHint.URI {
		t.Errorf("playlist %+v", got)
	}
	if a := <-hinted; a.status != http.StatusOK || len(a.body) == 0 {
		t.Errorf("the part of the hint: %d %s", a.status, a.body)
	}
	for _, query := range []string{"_HLS_msn=x", "_HLS_msn=1&_HLS_part=-1", "_HLS_part=1", fmt.Sprintf("_HLS_msn=%d", next+2)} {
		s.ask(t, videoList+"?"+query).wantProblem(t, http.StatusBadRequest, reason.RequestQuery)
	}
	s.ask(t, file(next, 90)).wantProblem(t, http.StatusBadRequest, reason.RequestQuery)
}

// A session that broke and opened again is a discontinuity: numbers go on, and files stay.
func TestPlaylist_discontinuity(t *testing.T) {
	c := newCamera(t, pcmu)
	s := newSite(t, c, viewer.Limits{})
	session, _ := s.start(t, c)
	before := s.list(t, videoList)
	session.end(errors.New("the camera is gone"))
	session = <-c.opened
	next := s.later(t, fmt.Sprintf("%s?_HLS_msn=%d", videoList, before.MediaSequence+8))
	after := parse(t, session.playUntil(next))
	if after.MediaSequence+len(after.Segments) != before.MediaSequence+9 {
		t.Errorf("number %d with %d segments after %d", after.MediaSequence, len(after.Segments), before.MediaSequence)
	}
	n := len(after.Segments)
	completed, first := after.Segments[n-2], after.Segments[n-1]
	if !first.Discontinuity || completed.Discontinuity || completed.Gap {
		t.Errorf("segments %+v, %+v", completed, first)
	}
	text := string(s.ask(t, videoList).body)
	if strings.Count(text, "#EXT-X-MAP:") != 2 || !strings.Contains(text, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=") {
		t.Error(text)
	}
	// all parts that were shown before are in the segment that the end has completed
	var parts []byte
	for _, part := range before.Parts {
		parts = append(parts, s.ask(t, part.URI).body...)
	}
	if whole := s.ask(t, completed.URI); whole.status != http.StatusOK || !strings.HasPrefix(string(whole.body), string(parts)) {
		t.Errorf("the completed segment: %d, %d bytes; parts of %d", whole.status, len(whole.body), len(parts))
	}
	if a := s.ask(t, first.URI); a.status != http.StatusOK {
		t.Errorf("the first segment: %d", a.status)
	}
	var late *playlist.Media
	for i := range 9 {
		session.play(gop)
		late = s.list(t, fmt.Sprintf("%s?_HLS_msn=%d", videoList, before.MediaSequence+9+i))
	}
	if late.Segments[0].Discontinuity || *late.DiscontinuitySequence != *before.DiscontinuitySequence+1 {
		t.Errorf("discontinuity %d after %d", *late.DiscontinuitySequence, *before.DiscontinuitySequence)
	}
	s.ask(t, before.Map.URI).wantProblem(t, http.StatusNotFound, reason.RequestRoute)
}

// Players of other tracks begin anew.
func TestPlaylist_tracksChanged(t *testing.T) {
	c := newCamera(t, pcmu)
	s := newSite(t, c, viewer.Limits{})
	session, _ := s.start(t, c)
	blocked := s.later(t, videoList+"?_HLS_msn="+fmt.Sprint(s.list(t, videoList).MediaSequence+8))
	c.mu.Lock()
	c.tracks = c.tracks[:1]
	c.mu.Unlock()
	session.end(errors.New("the camera is gone"))
	session = <-c.opened
	session.play(1)
	(<-blocked).wantProblem(t, http.StatusBadGateway, reason.TracksChanged)
	s.ask(t, videoList).wantProblem(t, http.StatusBadGateway, reason.TracksChanged)
	index := s.later(t, "index.m3u8")
	session = <-c.opened
	if a := session.playUntil(index); a.status != http.StatusOK || strings.Contains(string(a.body), "audio") {
		t.Errorf("index %d %s", a.status, a.body)
	}
}

// A viewer without the right to hear gets pictures alone.
func TestSound_isARight(t *testing.T) {
	c := newCamera(t, pcmu)
	s := newSite(t, c, viewer.Limits{})
	s.principal = access.Principal{Name: "deaf"} // package live has granted Watch
	_, answer := s.start(t, c)
	if text := string(answer.body); answer.status != http.StatusOK || strings.Contains(text, "AUDIO") || strings.Contains(text, "flac") ||
		!strings.Contains(text, videoList) {
		t.Errorf("index %d %s", answer.status, text)
	}
	s.ask(t, "audio2_stream.m3u8").wantProblem(t, http.StatusForbidden, reason.AccessDenied)
}

func TestFailures(t *testing.T) {
	c := newCamera(t)
	s := newSite(t, c, viewer.Limits{PerCamera: 1})
	c.refuse = failure.New(failure.Module, reason.ModuleOffline, nil)
	for _, file := range []string{"index.m3u8", videoList} {
		a := s.ask(t, file)
		a.wantProblem(t, http.StatusBadGateway, reason.ModuleOffline)
		if a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("header %v", a.header)
		}
	}
	for _, file := range []string{"x_video1_seg7.mp4", "gap.mp4", "page.html"} {
		s.ask(t, file).wantProblem(t, http.StatusNotFound, reason.RequestRoute)
	}
	s.playback = "p=other"
	s.ask(t, "index.m3u8").wantProblem(t, http.StatusTooManyRequests, reason.LimitViewers)
}

func TestFailures_codec(t *testing.T) {
	c := newCamera(t)
	c.tracks[0].PPS = nil
	s := newSite(t, c, viewer.Limits{})
	_, answer := s.start(t, c)
	answer.wantProblem(t, http.StatusConflict, reason.CodecNotForOutput)
}

// An operator ends a viewer: its next request is refused, another viewer's is not.
func TestViewer_disconnected(t *testing.T) {
	c := newCamera(t)
	s := newSite(t, c, viewer.Limits{})
	_, _ = s.start(t, c)
	p := s.list(t, videoList)
	s.ask(t, p.Segments[6].URI)
	s.list(t, videoList) // on the same connection, so that the segment is counted
	list := s.viewers.List()
	if len(list) != 1 || list[0].Bytes == 0 || list[0].Output != "hls" || list[0].Camera != "edge1/front" {
		t.Fatalf("viewers %+v", list)
	}
	blocked := s.later(t, fmt.Sprintf("%s?_HLS_msn=%d", videoList, p.MediaSequence+8))
	for s.viewers.Count("hls").Viewers > 0 {
		s.viewers.Disconnect(list[0].ID, failure.New(failure.Viewer, reason.ViewerClosed, nil))
	}
	(<-blocked).wantProblem(t, http.StatusBadRequest, reason.ViewerClosed)
	s.ask(t, videoList).wantProblem(t, http.StatusBadRequest, reason.ViewerClosed)
	s.playback = "p=other"
	s.list(t, videoList)
}

func TestShutdown(t *testing.T) {
	c := newCamera(t)
	s := newSite(t, c, viewer.Limits{})
	_, _ = s.start(t, c)
	p := s.list(t, videoList)
	blocked := s.later(t, fmt.Sprintf("%s?_HLS_msn=%d", videoList, p.MediaSequence+8))
	s.out.Shutdown(t.Context())
	(<-blocked).wantProblem(t, http.StatusServiceUnavailable, reason.ShuttingDown)
	s.ask(t, "index.m3u8").wantProblem(t, http.StatusServiceUnavailable, reason.ShuttingDown)
	if n := s.out.Muxers(); n != 0 {
		t.Errorf("%d muxers", n)
	}
}

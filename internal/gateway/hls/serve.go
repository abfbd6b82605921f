package hls

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
)

// fileAge is how long a cache may keep a file, in seconds. A file's name is never used again.
const fileAge = 600

// await waits until ready returns true, the muxer ends, ctx is done, or the time is over. ready
// is called with the muxer's lock held. It returns false if the time is over.
func (m *muxer) await(ctx context.Context, most time.Duration, ready func() (bool, error)) (bool, error) {
	var timeout <-chan time.Time
	for {
		m.mu.Lock()
		ok, err := ready()
		changed, ended := m.changed, m.ended
		m.mu.Unlock()
		switch {
		case ended != nil:
			return false, ended
		case ok || err != nil:
			return ok, err
		}
		if timeout == nil {
			timer := time.NewTimer(most)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// open waits for the first segment.
func (m *muxer) open(ctx context.Context) error {
	ok, err := m.await(ctx, openWithin, func() (bool, error) { return len(m.lists) > 0, nil })
	if err == nil && !ok {
		err = failure.New(failure.Media, reason.OpeningTimeout, nil)
	}
	return err
}

// serveIndex answers with the multivariant playlist. Without sound, it has the pictures alone.
func (m *muxer) serveIndex(ctx context.Context, w http.ResponseWriter, query string, sound bool) error {
	if err := m.open(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	g := m.newest()
	m.mu.Unlock()
	text, err := g.index(sound)
	if err != nil {
		return err
	}
	writePlaylist(w, withQuery(text, query))
	return nil
}

// newest returns the newest generation that players know. There is a playlist, and the caller
// holds the lock.
func (m *muxer) newest() *generation {
	var g *generation
	for _, l := range m.lists { // all have segments of the same ones
		g = l.segments[len(l.segments)-1].of
	}
	return g
}

// index returns the multivariant playlist.
func (g *generation) index(sound bool) ([]byte, error) {
	if g.master.Load() == nil {
		return nil, failure.New(failure.Media, reason.MediaInvalid, nil)
	}
	var p playlist.Multivariant
	if err := p.Unmarshal(*g.master.Load()); err != nil {
		return nil, failure.New(failure.Media, reason.MediaInvalid, err)
	}
	for _, v := range p.Variants {
		v.URI += mark
		if !sound {
			v.Audio = ""
			v.Codecs = slices.DeleteFunc(v.Codecs, isSoundCodec)
		}
	}
	if !sound {
		p.Renditions = nil
		if g.video == nil {
			return nil, failure.New(failure.Viewer, reason.AccessDenied, nil)
		}
	}
	for _, r := range p.Renditions {
		if r.URI != nil {
			*r.URI += mark
		}
	}
	text, err := p.Marshal()
	if err != nil {
		return nil, failure.New(failure.Media, reason.MediaInvalid, err)
	}
	return text, nil
}

func isSoundCodec(name string) bool {
	return name == "opus" || name == "flac" || strings.HasPrefix(name, "mp4a")
}

// servePlaylist answers with a media playlist, when it has what the player waits for. After
// three target durations it answers with what it has: the camera may be gone, and come back.
func (m *muxer) servePlaylist(ctx context.Context, w http.ResponseWriter, r *http.Request, v live.Request) error {
	asked, err := wanted(r.URL.Query())
	if err != nil {
		return err
	}
	if err := m.open(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	l := m.lists[v.File]
	most := 3 * time.Second
	if l != nil {
		most *= time.Duration(l.target)
	}
	m.mu.Unlock()
	if l == nil {
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	var text []byte
	_, err = m.await(ctx, min(most, goneAfter), func() (bool, error) {
		text = l.text
		has, will := l.has(asked)
		if !will {
			return false, failure.New(failure.Viewer, reason.RequestQuery, nil)
		}
		return has, nil
	})
	if err != nil {
		return err
	}
	writePlaylist(w, withQuery(text, v.Playback))
	return nil
}

// wanted reads the directives of a request (rfc8216bis, 6.2.5). Delta updates are not offered.
func wanted(q url.Values) (want, error) {
	number, part := q.Get("_HLS_msn"), q.Get("_HLS_part")
	w := want{blocking: number != "", whole: part == ""}
	var err error
	if w.blocking {
		w.number, err = strconv.ParseUint(number, 10, 63)
	}
	if err == nil && !w.whole {
		w.part, err = strconv.ParseUint(part, 10, 31)
	}
	if err != nil || !w.blocking && !w.whole {
		return want{}, failure.New(failure.Viewer, reason.RequestQuery, err)
	}
	return w, nil
}

func writePlaylist(w http.ResponseWriter, text []byte) {
	header := w.Header()
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Type", "application/vnd.apple.mpegurl")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text) // a client that left needs no answer
}

// serveFile answers with a part, a segment or an init segment. It waits for a part that the
// playlist has a hint of.
func (m *muxer) serveFile(ctx context.Context, w http.ResponseWriter, r *http.Request, file string, by *watcher) error {
	_, err := m.await(ctx, goneAfter, func() (bool, error) { return !m.hinted(file), nil })
	if err != nil {
		return err
	}
	b := m.file(file)
	if b == nil {
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	header := w.Header()
	header.Set("Cache-Control", "public, max-age="+strconv.Itoa(fileAge)+", immutable")
	header.Set("Content-Type", "video/mp4")
	if isSound(file) {
		header.Set("Content-Type", "audio/mp4")
	}
	header.Set("ETag", `"`+file+`"`)
	c := &counter{ResponseWriter: w}
	if r.Method == http.MethodGet && r.Header.Get("Range") == "" && r.Header.Get("If-None-Match") == "" {
		header.Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = c.Write(b) // one write; a client that left needs no more
	} else {
		http.ServeContent(c, r, "", time.Time{}, bytes.NewReader(b))
	}
	if !strings.HasSuffix(file, "_init.mp4") {
		m.out.sent(by, c.n)
	}
	return nil
}

// counter counts the bytes of an answer.
type counter struct {
	http.ResponseWriter
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += n
	return n, err //nolint:wrapcheck // it is a ResponseWriter
}

// hinted reports whether a file is a part that is not there yet. The caller holds the lock.
func (m *muxer) hinted(file string) bool {
	for _, l := range m.lists {
		if l.hint == file {
			return true
		}
	}
	return false
}

// file returns a file; nil if there is none, or no longer.
func (m *muxer) file(name string) []byte {
	m.mu.Lock()
	b, generations := m.files.get(name), m.generations()
	hinted := m.hinted(name)
	m.mu.Unlock()
	if b != nil || hinted {
		return b
	}
	for _, g := range generations {
		if a := g.fetch(name); a.status == http.StatusOK && !strings.HasSuffix(name, ".m3u8") {
			b = a.body.Bytes()
			m.mu.Lock()
			m.files.put(name, b)
			m.mu.Unlock()
			return b
		}
	}
	return nil
}

// generations returns those with a file in a playlist, and the newest one. The caller holds the
// lock.
func (m *muxer) generations() []*generation {
	list := []*generation{m.now}
	for _, l := range m.lists {
		for _, s := range l.segments {
			if !slices.Contains(list, s.of) {
				list = append(list, s.of)
			}
		}
	}
	if list[0] == nil {
		return list[1:]
	}
	return list
}

// files are those that were asked for last: many viewers ask for the same ones.
type files struct {
	list  []file
	bytes int
}

type file struct {
	name string
	body []byte
}

// maxFiles bounds the bytes of files.
const maxFiles = 8 << 20

func (f *files) get(name string) []byte {
	for _, have := range f.list {
		if have.name == name {
			return have.body
		}
	}
	return nil
}

func (f *files) put(name string, body []byte) {
	if f.get(name) != nil {
		return
	}
	f.list = append(f.list, file{name, body})
	f.bytes += len(body)
	for f.bytes > maxFiles && len(f.list) > 1 || len(f.list) > 4*shown {
		f.bytes -= len(f.list[0].body)
		f.list = slices.Delete(f.list, 0, 1)
	}
}

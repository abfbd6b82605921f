// Package hls serves live video as Low-Latency HLS (RFC 8216 and its second edition,
// draft-pantos-hls-rfc8216bis), for Safari, TVs and CDNs.
//
// A stream has one muxer, which is a reader of it. The first request of a playlist starts the
// muxer, and the muxer ends some time after the last request. gohlslib cuts segments and parts
// and writes their MP4. This package has the rest: it composes the playlists once for each part,
// answers all viewers from memory, and waits on their behalf.
//
// An epoch of the stream is a muxer of gohlslib of its own, because gohlslib knows no
// discontinuities. The numbers of segments go on across epochs, with a discontinuity between
// them. A muxer that starts again later continues with numbers that were not used before.
//
// A viewer is a playback from one address. It is there while it asks for something.
//
// Code belongs here if it is about HLS.
package hls

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/problem"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// Name is the output's name, in routes and metrics.
const Name = "hls"

// Index is the file with which a player begins.
const Index = "index.m3u8"

// Options are what New needs. A zero duration or number is its default.
type Options struct {
	// Find returns the stream with a full name of three segments. Errors are failures.
	Find    func(ctx context.Context, name string) (*stream.Stream, error)
	Viewers *viewer.Set
	Log     zerolog.Logger

	Part    time.Duration // the least duration of a part; 200 ms
	Segment time.Duration // the least duration of a segment, which begins at a key frame; 1 s
	// Muxers bounds the muxers at once; 200. A muxer holds the media of some segments.
	Muxers int
}

const (
	idleAfter = time.Minute      // a muxer without requests ends
	goneAfter = 10 * time.Second // a viewer without requests is gone
	// refuseFor is how long a viewer that was ended stays refused, so that its next request does
	// not make it a new viewer.
	refuseFor = time.Minute
	// openWithin bounds a request that waits for the first segment: the stream's opening, and a
	// group of pictures.
	openWithin = time.Minute
)

// Output is the output. It is safe for concurrent use.
type Output struct {
	o    Options
	life context.Context //nolint:containedctx // of the muxers
	end  context.CancelCauseFunc

	running sync.WaitGroup // muxers

	mu       sync.Mutex
	closing  *failure.Failure
	muxers   map[string]*muxer
	watchers map[watcherKey]*watcher
}

var _ live.Output = (*Output)(nil)

// New returns the output. Shutdown ends it.
func New(o Options) *Output {
	if o.Part == 0 {
		o.Part = 200 * time.Millisecond
	}
	if o.Segment == 0 {
		o.Segment = time.Second
	}
	if o.Muxers == 0 {
		o.Muxers = 200
	}
	life, end := context.WithCancelCause(context.Background())
	return &Output{o: o, life: life, end: end, muxers: map[string]*muxer{}, watchers: map[watcherKey]*watcher{}}
}

// Muxers returns how many muxers there are.
func (o *Output) Muxers() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.muxers)
}

// Shutdown ends all viewers and muxers, and waits for the muxers until ctx is done.
func (o *Output) Shutdown(ctx context.Context) {
	cause := failure.New(failure.Gateway, reason.ShuttingDown, nil)
	o.mu.Lock()
	o.closing = cause
	for _, w := range o.watchers {
		o.refuse(w, cause)
		w.timer.Stop()
	}
	clear(o.watchers)
	o.mu.Unlock()
	o.end(cause)
	done := make(chan struct{})
	go func() { // ends with the muxers, which end now
		defer close(done)
		o.running.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// ServeLive answers one request of a viewer.
func (o *Output) ServeLive(w http.ResponseWriter, r *http.Request, v live.Request) {
	if err := o.serve(w, r, v); err != nil {
		w.Header().Set("Cache-Control", "no-store")
		problem.Write(w, failure.Of(err))
	}
}

// serve answers a request, or returns the failure for the answer.
func (o *Output) serve(w http.ResponseWriter, r *http.Request, v live.Request) error {
	playlist, sound := strings.HasSuffix(v.File, ".m3u8"), isSound(v.File)
	if !playlist && !strings.HasSuffix(v.File, ".mp4") {
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	hears := v.Principal.Grant(access.Listen, v.Camera)
	if sound && hears != nil {
		return hears
	}
	if !playlist && !o.has(v) { // a file makes no viewer
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	watcher, err := o.watch(v)
	if err != nil {
		return err
	}
	defer o.rest(watcher)
	m, err := o.muxer(v, playlist)
	if err != nil {
		return err
	}
	defer m.leave()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(watcher.ctx, func() { cancel(context.Cause(watcher.ctx)) })() //nolint:contextcheck // it ends with the viewer
	switch {
	case v.File == Index:
		return m.serveIndex(ctx, w, v.Playback, hears == nil)
	case playlist:
		return m.servePlaylist(ctx, w, r, v)
	default:
		return m.serveFile(ctx, w, r, v.File, watcher)
	}
}

// isSound reports whether a file or playlist has sound, by gohlslib's names of them.
func isSound(file string) bool {
	return strings.HasPrefix(file, "audio") || strings.Contains(file, "_audio")
}

// has reports whether there is a muxer of a request's stream.
func (o *Output) has(v live.Request) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.muxers[v.Camera+"/"+v.Stream] != nil
}

// muxer returns the muxer of a request's stream; the caller calls its leave. A request of a
// playlist starts it.
func (o *Output) muxer(v live.Request, playlist bool) (*muxer, error) {
	name := v.Camera + "/" + v.Stream
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.muxers[name]
	switch {
	case o.closing != nil:
		return nil, o.closing
	case m != nil && m.enter():
		return m, nil
	case m != nil && v.File != Index:
		return nil, m.failure() // players of an ended muxer begin anew with the index
	case !playlist:
		return nil, failure.New(failure.Viewer, reason.RequestRoute, nil)
	case m == nil && len(o.muxers) >= o.o.Muxers && !o.evict():
		return nil, failure.New(failure.Gateway, reason.LimitViewers, nil)
	}
	if m != nil {
		m.idle.Stop()
	}
	m = newMuxer(o, name)
	o.muxers[name] = m
	o.running.Go(m.run)
	return m, nil
}

// evict ends the muxer that was not asked for the longest time. It returns false if all are in
// use. The caller holds the lock.
func (o *Output) evict() bool {
	var oldest *muxer
	var since time.Time
	for _, m := range o.muxers {
		if at, free := m.free(); free && (oldest == nil || at.Before(since)) {
			oldest, since = m, at
		}
	}
	if oldest == nil || time.Since(since) < goneAfter {
		return false
	}
	o.drop(oldest)
	oldest.cancel(errIdle)
	return true
}

// remove removes a muxer that has ended.
func (o *Output) remove(m *muxer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(m)
}

// drop is remove with the lock held.
func (o *Output) drop(m *muxer) {
	if o.muxers[m.name] == m {
		delete(o.muxers, m.name)
	}
}

package hls

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/viewer"
)

// watcherKey tells viewers apart: HLS has no connection of a viewer.
type watcherKey struct {
	camera, stream string
	playback       string // or the principal's name
	from           netip.Addr
}

// watcher is a viewer that asks for playlists and files. Output.mu guards its fields but for
// viewer, log and began, which do not change.
type watcher struct {
	key    watcherKey
	viewer *viewer.Viewer
	log    zerolog.Logger
	began  time.Time

	ctx    context.Context //nolint:containedctx // ends with the viewer, for its requests that wait
	cancel context.CancelCauseFunc
	active int         // requests that run
	timer  *time.Timer // removes it; runs while no request does
	ended  *failure.Failure
	bytes  int64
}

// watch returns the viewer of a request, which is a new one if it has not asked before. The
// caller calls rest. The error is why the viewer was ended, or the failure of a limit.
func (o *Output) watch(v live.Request) (*watcher, error) {
	key := watcherKey{v.Camera, v.Stream, v.Playback, v.From}
	if key.playback == "" {
		key.playback = v.Principal.Name
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.watchers[key]
	switch {
	case o.closing != nil:
		return nil, o.closing
	case w != nil && w.ended != nil:
		return nil, w.ended
	case w == nil:
		added, err := o.add(key, v)
		if err != nil {
			return nil, err
		}
		w = added
	}
	w.timer.Stop()
	w.active++
	return w, nil
}

// add adds a viewer. The caller holds the lock.
func (o *Output) add(key watcherKey, v live.Request) (*watcher, error) {
	w := &watcher{key: key, began: time.Now()}
	info := viewer.Info{Camera: v.Camera, Stream: v.Stream, Output: Name, Principal: v.Principal, RemoteAddr: v.From.String()}
	added, err := o.o.Viewers.Add(info, func(cause error) { // waits for the lock, and finds w complete
		o.mu.Lock()
		defer o.mu.Unlock()
		o.refuse(w, failure.Of(cause))
	})
	if err != nil {
		return nil, err
	}
	w.viewer = added
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	w.timer = time.AfterFunc(goneAfter, func() { o.forget(w) })
	w.log = o.o.Log.With().Str("viewer", added.ID()).Str("camera", v.Camera).Str("stream", v.Stream).Str("output", Name).
		Str("principal", v.Principal.Name).Stringer("remote", v.From).Logger()
	w.log.Info().Msg("viewer started")
	o.watchers[key] = w
	return w, nil
}

// rest ends a request of a viewer.
func (o *Output) rest(w *watcher) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.active--; w.active == 0 && w.ended == nil {
		w.timer.Reset(goneAfter)
	}
}

// refuse ends a viewer. Its requests are refused for some time. The caller holds the lock.
func (o *Output) refuse(w *watcher, cause *failure.Failure) {
	if w.ended != nil {
		return
	}
	w.ended = cause
	w.close(cause)
	w.timer.Reset(refuseFor)
}

// forget removes a viewer that no longer asks, or that was refused long enough.
func (o *Output) forget(w *watcher) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.ended == nil && w.active > 0 { // it asked at the last moment
		return
	}
	if o.watchers[w.key] == w {
		delete(o.watchers, w.key)
	}
	if w.ended == nil {
		w.close(nil)
	}
}

// close ends the requests of a viewer, and writes its line. The caller holds the lock.
func (w *watcher) close(cause *failure.Failure) {
	line := w.log.Info().Int64("bytes", w.bytes).Dur("durMs", time.Since(w.began))
	if cause != nil {
		line = line.Str("hop", string(cause.Hop)).Str("reason", string(cause.Reason))
		w.cancel(cause)
	} else {
		w.cancel(nil)
	}
	line.Msg("viewer ended")
	w.viewer.Close()
}

// sent counts media that a viewer got.
func (o *Output) sent(w *watcher, bytes int) {
	w.viewer.Sent(bytes)
	w.viewer.FirstUnit(time.Since(w.began))
	o.mu.Lock()
	defer o.mu.Unlock()
	w.bytes += int64(bytes)
}

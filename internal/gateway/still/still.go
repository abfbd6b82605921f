// Package still serves the newest picture of a camera: a key frame as an MP4 file with one
// picture, which a browser shows in <video> without a player; the JPEG image itself of MJPEG.
//
// The picture of an open stream is its newest key frame. A closed stream has the last one that
// was received, while the stream exists, and a Store has it from then on. The owner of the streams calls Store.Keep with a stream's LastKey before it drops the stream, and
// Store.Forget when the camera is removed.
//
// A request opens no camera, so that a wall of cameras costs no tunnels. With the query open=1
// it opens the stream for one picture, within the limits of openings and of viewers.
//
// Code belongs here if it is about single pictures.
package still

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/problem"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// Name is the output's name in metrics.
const Name = "still"

// The headers of an answer.
const (
	// AgeHeader is how old the picture is, in milliseconds: since the gateway received it.
	AgeHeader = "X-Picture-Age"
	// LiveHeader is "true" if the camera's stream is open, so that a newer picture follows.
	LiveHeader = "X-Picture-Live"
)

// How long a browser may show a picture without asking again, in seconds.
const (
	liveMaxAge = 1
	lastMaxAge = 10
)

// Options are what New needs. All are required.
type Options struct {
	// Find returns the stream with a full name of three segments, for open=1.
	Find func(ctx context.Context, name string) (*stream.Stream, error)
	// Known returns the stream if it exists, and does not create it; nil without one.
	Known   func(name string) *stream.Stream
	Viewers *viewer.Set // those that wait for a stream to open
	Store   *Store
}

// Output is the output. It is safe for concurrent use.
type Output struct{ o Options }

var _ live.Output = (*Output)(nil)

// New returns the output. It starts no goroutine.
func New(o Options) *Output { return &Output{o} }

// ServeLive answers with the picture. It serves ranges, which Safari asks for, and conditional
// requests (RFC 9110, 13 and 14).
func (o *Output) ServeLive(w http.ResponseWriter, r *http.Request, v live.Request) {
	name := v.Camera + "/" + v.Stream
	open := r.URL.Query().Get("open") == "1" // without it, a camera stays closed
	p, running, err := o.picture(r.Context(), name, open, v)
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		problem.Write(w, failure.Of(err))
		return
	}
	header := w.Header()
	maxAge := lastMaxAge
	if running {
		maxAge = liveMaxAge
	}
	header.Set("Cache-Control", "private, max-age="+strconv.Itoa(maxAge))
	header.Set("Content-Type", p.Type)
	header.Set("ETag", fmt.Sprintf(`"%x-%x"`, p.Taken.UnixNano(), len(p.Bytes)))
	header.Set(AgeHeader, strconv.FormatInt(max(0, time.Since(p.Taken).Milliseconds()), 10))
	header.Set(LiveHeader, strconv.FormatBool(running))
	http.ServeContent(w, r, "", p.Taken, bytes.NewReader(p.Bytes))
}

// picture returns the newest picture of a stream, and whether the stream is open.
func (o *Output) picture(ctx context.Context, name string, open bool, v live.Request) (*Picture, bool, error) {
	s := o.o.Known(name)
	if open && (s == nil || !running(s)) {
		opened, err := o.open(ctx, name, v)
		if err != nil {
			return nil, false, err
		}
		s = opened
	}
	if s == nil {
		p, err := o.o.Store.of(name, nil)
		return p, false, err
	}
	p, err := o.o.Store.of(name, s.LastKey())
	return p, running(s), err
}

// running reports whether pictures arrive.
func running(s *stream.Stream) bool {
	state := s.State()
	return state.Phase == stream.PhaseLive || state.Phase == stream.PhaseClosing && state.Epoch != nil
}

// open opens a stream, and returns it when it has a picture. The stream stays open for its
// grace.
func (o *Output) open(ctx context.Context, name string, v live.Request) (*stream.Stream, error) {
	s, err := o.o.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watcher, err := o.o.Viewers.Add(
		viewer.Info{Camera: v.Camera, Stream: v.Stream, Output: Name, Principal: v.Principal, RemoteAddr: v.From.String()}, cancel,
	)
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	reader, err := s.Attach(ctx, stream.Want{Start: stream.Live})
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if e := reader.Epoch(); !hasVideo(e) {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, nil)
	}
	return s, nil // Attach returns at the first key frame
}

func hasVideo(e *media.Epoch) bool { return e.Tracks[e.MainTrack()].Video() }

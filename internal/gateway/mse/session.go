package mse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// session is one viewer's WebSocket. One goroutine runs it.
type session struct {
	source *stream.Stream
	viewer *viewer.Viewer
	sound  bool // the viewer may hear it
	out    *writer
	began  time.Time

	reader  *stream.Reader
	epoch   *media.Epoch // of the last init; nil before the first one
	tracks  [2]int       // video and sound in the epoch; -1: none
	newest  *media.Unit  // the newest picture that was sent, or sound if there is no video
	skipped uint64       // groups, as told
	sent    int64        // bytes
}

// run serves until ctx ends or the stream does. It returns why; nil if the viewer left.
func (s *session) run(ctx context.Context) *failure.Failure {
	err := s.attach(ctx)
	if err == nil {
		defer s.reader.Close()
		err = s.play(ctx)
	}
	if ctx.Err() != nil { // a write may have failed because of it
		err = context.Cause(ctx)
	}
	switch f := (*failure.Failure)(nil); {
	case errors.As(err, &f):
		return f
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure.New(failure.Viewer, reason.ViewerStalled, nil)
	default:
		return nil // the viewer left, or its connection broke
	}
}

// attach opens the stream, and tells the viewer each hop.
func (s *session) attach(ctx context.Context) error {
	type result struct {
		reader *stream.Reader
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		reader, err := s.source.Attach(ctx, stream.Want{Start: stream.Live})
		done <- result{reader, err}
	}()
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	var told failure.Hop
	for {
		changed := s.source.Changed()
		var err error
		if state := s.source.State(); state.Phase == stream.PhaseOpening && state.Hop != "" && state.Hop != told {
			told = state.Hop
			err = s.out.text(opening{"opening", told, "opening: " + string(told), state.Since})
		}
		if err != nil {
			cancel()
			if r := <-done; r.reader != nil {
				r.reader.Close()
			}
			return err
		}
		select {
		case <-changed:
		case <-ticks.C:
			_ = s.out.frame(websocket.PingMessage, nil) // the next write has its error
		case r := <-done:
			s.reader = r.reader
			return r.err
		}
	}
}

type opening struct {
	Type    string      `json:"type"`
	Hop     failure.Hop `json:"hop"`
	Message string      `json:"message"`
	Since   time.Time   `json:"since"`
}

// clockEvery is how often the viewer gets the gateway's clock.
const clockEvery = time.Second

// play sends units until there are no more. A goroutine beside it pings, and tells the viewer when
// the stream opens again.
func (s *session) play(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	beside := make(chan struct{})
	go func() {
		defer close(beside)
		cancel(s.tellState(ctx))
	}()
	defer func() { cancel(nil); <-beside }()
	var clock time.Time
	for {
		u, err := s.reader.Next(ctx)
		if err != nil {
			return err
		}
		begun := s.epoch != u.Epoch
		if err := s.send(u); err != nil {
			return err
		}
		if now := u.Wall; begun || now.Sub(clock) >= clockEvery {
			clock = now
			if err := s.tell(); err != nil {
				return err
			}
		}
	}
}

// tellState pings, and sends the message reopening when the stream opens again, until ctx ends or
// a write fails.
func (s *session) tellState(ctx context.Context) error {
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	var told time.Time
	for {
		var err error
		changed := s.source.Changed()
		if state := s.source.State(); state.Phase == stream.PhaseReopening && state.Failure != nil && !state.Failure.RetryAt.Equal(told) {
			told = state.Failure.RetryAt
			err = s.out.text(reopening{"reopening", state.Failure})
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ticks.C:
			if err := s.out.frame(websocket.PingMessage, nil); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

type reopening struct {
	Type    string           `json:"type"`
	Failure *failure.Failure `json:"failure"`
}

// send sends a unit: alone, or behind an init segment and with the units that are kept.
func (s *session) send(u *media.Unit) error {
	if u.Epoch != s.epoch {
		return s.begin(u)
	}
	if u.Track != s.tracks[0] && u.Track != s.tracks[1] {
		return nil
	}
	frame := u.Memo(media.Fragment, message)
	if len(frame) == 0 {
		return nil
	}
	if err := s.tellSkipped(); err != nil {
		return err
	}
	s.note(u)
	if err := s.out.write(frame); err != nil {
		return err
	}
	s.count(len(frame))
	return nil
}

// message is a unit's fragment as a WebSocket message; empty if it has none.
func message(u *media.Unit) []byte {
	return framed(func(b []byte) []byte { return fmp4.AppendFragment(b, u) })
}

type announcement struct {
	Type  string        `json:"type"`
	Epoch uint32        `json:"epoch"`
	MIME  string        `json:"mime"`
	Video *pictureTrack `json:"video"`
	Audio *soundTrack   `json:"audio"`
}

type pictureTrack struct {
	Codec  media.Codec `json:"codec"`
	Width  int         `json:"width"`
	Height int         `json:"height"`
}

type soundTrack struct {
	Codec      media.Codec `json:"codec"`
	SampleRate int         `json:"sampleRate"`
	Channels   int         `json:"channels"`
}

// announce sends the message init of an epoch, and makes it the current one. It returns the init
// segment.
func (s *session) announce(e *media.Epoch) ([]byte, error) {
	format, err := s.choose(e)
	if err != nil {
		return nil, err
	}
	a := announcement{Type: "init", Epoch: e.Number}
	kind := "audio"
	if sound := s.tracks[1]; sound >= 0 {
		t := e.Tracks[sound]
		a.Audio = &soundTrack{t.Codec, t.SampleRate, t.Channels}
	}
	if video := s.tracks[0]; video >= 0 {
		kind = "video"
		t := e.Tracks[video]
		a.Video = &pictureTrack{t.Codec, t.Width, t.Height}
	}
	a.MIME = fmt.Sprintf(`%s/mp4; codecs="%s"`, kind, format.Codecs())
	return format.Init(), s.out.text(a)
}

// choose chooses the tracks of an epoch, and how they are written. Sound that cannot be written
// is left out; a camera whose pictures cannot be written is a failure.
func (s *session) choose(e *media.Epoch) (*fmp4.Format, error) {
	video, sound := fmp4.Select(e)
	if video < 0 && slices.ContainsFunc(e.Tracks, media.Track.Video) || video < 0 && (sound < 0 || !s.sound) {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, nil)
	}
	s.epoch = e
	if sound >= 0 && s.sound {
		s.tracks = [2]int{video, sound}
		format, err := fmp4.New(e, slices.DeleteFunc([]int{video, sound}, func(i int) bool { return i < 0 })...)
		if err == nil || video < 0 {
			return format, err
		}
	}
	s.tracks = [2]int{video, -1}
	return fmp4.New(e, video)
}

// note remembers the newest unit for the clock.
func (s *session) note(u *media.Unit) {
	if u.Track == s.tracks[0] || s.tracks[0] < 0 {
		s.newest = u
	}
}

type clock struct {
	Type  string  `json:"type"`
	Media float64 `json:"media"`
	Wall  int64   `json:"wall"`
	Now   int64   `json:"now"`
}

// tell sends the message clock.
func (s *session) tell() error {
	u := s.newest
	if u == nil {
		return nil
	}
	ticks := u.Epoch.Base[u.Track] + u.PTS
	return s.out.text(clock{"clock", float64(ticks) / float64(u.Epoch.Tracks[u.Track].ClockRate), u.Wall.UnixMilli(), time.Now().UnixMilli()})
}

// tellSkipped sends the message skipped, if there are more groups than the viewer knows.
func (s *session) tellSkipped() error {
	groups, _ := s.reader.Skipped()
	if groups == s.skipped {
		return nil
	}
	more := groups - s.skipped
	s.skipped = groups
	s.viewer.Skip(more)
	return s.out.text(struct {
		Type   string `json:"type"`
		Groups uint64 `json:"groups"`
	}{"skipped", more})
}

// count counts bytes that were sent.
func (s *session) count(n int) {
	s.sent += int64(n)
	s.viewer.Sent(n)
}

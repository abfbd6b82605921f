package mse

import (
	"context"
	"errors"
	"fmt"
	"os"
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
			if r := <-done; r.reader != nil { // Attach ends, since the reading goroutine cancels ctx
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

// send sends a unit: alone, or behind an init segment and with all units that are kept.
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
	return s.write(frame)
}

// message is a unit's fragment as a WebSocket message.
func message(u *media.Unit) []byte {
	fragment := fmp4.Fragment(u)
	if len(fragment) == 0 {
		return []byte{}
	}
	return framed(fragment)
}

// begin sends an init segment and all units that the stream keeps, in one message: the viewer
// goes to their end in one step.
func (s *session) begin(u *media.Unit) error {
	if err := s.announce(u.Epoch); err != nil {
		return err
	}
	format, err := s.format(u.Epoch)
	if err != nil {
		return err
	}
	parts := [][]byte{nil, format.Init()}
	size := len(format.Init())
	for u != nil && u.Epoch == s.epoch {
		if u.Track == s.tracks[0] || u.Track == s.tracks[1] {
			fragment := fmp4.Fragment(u)
			parts, size = append(parts, fragment), size+len(fragment)
			s.note(u)
		}
		if u, err = s.reader.Poll(); err != nil {
			return err
		}
	}
	parts[0] = header(websocket.BinaryMessage, size)
	if err := s.write(parts...); err != nil {
		return err
	}
	s.viewer.FirstUnit(time.Since(s.began))
	if u != nil { // the first one of another epoch
		return s.begin(u)
	}
	return nil
}

// format returns how the epoch is written.
func (s *session) format(e *media.Epoch) (*fmp4.Format, error) {
	var tracks []int
	for _, i := range s.tracks {
		if i >= 0 {
			tracks = append(tracks, i)
		}
	}
	if len(tracks) == 0 {
		f := failure.New(failure.Media, reason.CodecNotForOutput, nil)
		return nil, f
	}
	return fmp4.New(e, tracks...)
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

// announce sends the message init of an epoch, and makes it the current one.
func (s *session) announce(e *media.Epoch) error {
	video, sound := fmp4.Select(e)
	if !s.sound {
		sound = -1
	}
	if _, err := fmp4.New(e, max(sound, 0)); sound >= 0 && err != nil {
		sound = -1 // pictures without sound are better than none
	}
	s.epoch, s.tracks = e, [2]int{video, sound}
	format, err := s.format(e)
	if err != nil {
		return err
	}
	a := announcement{Type: "init", Epoch: e.Number}
	kind := "audio"
	if sound >= 0 {
		t := e.Tracks[sound]
		a.Audio = &soundTrack{t.Codec, t.SampleRate, t.Channels}
	}
	if video >= 0 {
		kind = "video"
		t := e.Tracks[video]
		a.Video = &pictureTrack{t.Codec, t.Width, t.Height}
	}
	a.MIME = fmt.Sprintf(`%s/mp4; codecs="%s"`, kind, format.Codecs())
	return s.out.text(a)
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

func (s *session) write(frames ...[]byte) error {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	if err := s.out.write(stall, frames...); err != nil {
		return err
	}
	s.sent += int64(n)
	s.viewer.Sent(n)
	return nil
}

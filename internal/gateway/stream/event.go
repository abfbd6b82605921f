package stream

import (
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/failure"
)

// Kind is what happened to a stream.
type Kind string

// The kinds of events.
const (
	// EventOpened: the first key frame of a session arrived.
	EventOpened Kind = "opened"
	// EventFailed: an opening failed, and the stream is idle.
	EventFailed Kind = "failed"
	// EventReopening: a session or a reopening failed. The readers stay, and the stream
	// opens again at Failure.RetryAt.
	EventReopening Kind = "reopening"
	// EventClosed: the session is closed: without readers, by Close, or by a failure while
	// there was no reader.
	EventClosed Kind = "closed"
)

// Event is a change of a stream, for the log and metrics.
type Event struct {
	Kind    Kind
	Stream  string           // Options.Name
	Failure *failure.Failure // why; nil for EventOpened, and for EventClosed without readers
	Readers int              // after the event
	Tries   int              // failures in a row before EventOpened, or with this one

	// Took is how long the parts of the opening took; of EventOpened, and of openings that
	// failed.
	Took map[OpenPhase]time.Duration
	// Lived is how long the session was live; 0 if it never was.
	Lived time.Duration
}

// event returns an event of the stream as it is now. s.mu is held.
func (s *Stream) event(kind Kind) Event {
	return Event{Kind: kind, Stream: s.o.Name, Readers: len(s.readers), Tries: s.tries}
}

// report calls Observe, and then logs the event: what a line tells is counted. s.mu is not
// held. Events are in order, because the session's goroutine reports its first key frame
// before the session's Close returns.
func (s *Stream) report(e Event) {
	if s.o.Observe != nil {
		s.o.Observe(e)
	}
	s.log(e)
}

// log writes an event's line.
func (s *Stream) log(e Event) {
	level, message := zerolog.InfoLevel, "stream opened"
	switch e.Kind {
	case EventFailed:
		level, message = zerolog.WarnLevel, "stream not opened"
	case EventReopening:
		level, message = zerolog.WarnLevel, "stream lost: it opens again"
	case EventClosed:
		message = "stream closed"
	}
	line := s.o.Log.WithLevel(level).Str("stream", e.Stream).Int("readers", e.Readers)
	if f := e.Failure; f != nil {
		line = line.Str("hop", string(f.Hop)).Str("reason", string(f.Reason)).AnErr("error", f.Err)
		if !f.RetryAt.IsZero() {
			line = line.Time("retryAt", f.RetryAt).Int("tries", e.Tries)
		}
	}
	for _, p := range OpenPhases() {
		if took, ok := e.Took[p]; ok {
			line = line.Dur(string(p)+"Ms", took)
		}
	}
	if e.Lived > 0 {
		line = line.Dur("livedMs", e.Lived)
	}
	line.Msg(message)
}

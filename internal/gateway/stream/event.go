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

// add queues an event for report. s.mu is held.
func (s *Stream) add(e Event) {
	e.Stream, e.Readers, e.Tries = s.o.Name, len(s.readers), s.tries
	s.events = append(s.events, e)
}

// report logs the queued events and calls Observe, one event after the other. If another
// goroutine does so already, that one reports all. s.mu is not held.
func (s *Stream) report() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reporting {
		return
	}
	s.reporting = true
	for len(s.events) > 0 {
		events := s.events
		s.events = nil
		s.mu.Unlock()
		for _, e := range events {
			s.log(e)
			if s.o.Observe != nil {
				s.o.Observe(e)
			}
		}
		s.mu.Lock()
	}
	s.reporting = false
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
			line = line.Dur("retry_in", time.Until(f.RetryAt)).Int("tries", e.Tries)
		}
	}
	for _, p := range OpenPhases() {
		if took, ok := e.Took[p]; ok {
			line = line.Dur(string(p), took)
		}
	}
	if e.Lived > 0 {
		line = line.Dur("lived", e.Lived)
	}
	line.Msg(message)
}

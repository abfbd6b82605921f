// Package stream pulls one camera once, however many readers watch. A Stream opens its
// session for the first reader, keeps the newest access units in one ring that all readers
// share, reopens the session when it fails, and closes it some time after the last reader.
//
// Code belongs here if it decides when a session opens and closes, what the ring keeps, and
// which units a reader gets. The package does not know RTSP, tunnels, hubs or outputs: it
// sees one function that opens a session.
//
// The rules are:
//
//   - An idle stream is a struct. A stream that is not idle has one goroutine, run. Readers
//     have none: a reader is a position in the ring, and waits on a shared channel.
//   - Stream.mu guards all fields. No function of a caller runs under it: neither Open, nor
//     a Session's methods, nor Observe.
//   - A reader begins at a key frame, and after each gap at another one.
package stream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Session is one running pull of a camera, such as a source.Session.
type Session interface {
	// Wait returns why the session ended, once it has.
	Wait() error
	// Close ends the session, and returns when it has ended and no call of deliver runs. The
	// stream calls it once, after Wait or to end the session.
	Close()
}

// OpenFunc opens a session. ctx bounds the opening alone. deliver takes the units in order,
// from one goroutine, and may be called before OpenFunc returns; each session has epochs of
// its own. progress takes the hop that the opening works on. An error should be a
// *failure.Failure.
type OpenFunc func(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (Session, error)

// Options are the parameters of a stream. A zero duration or size is its default.
type Options struct {
	Name string // of the camera's stream, for the log and events
	Open OpenFunc

	Grace    time.Duration // how long a stream without readers stays open; 10 s. Negative: not at all
	Opening  time.Duration // bounds Open; 30 s
	KeyFrame time.Duration // from the end of Open to the first key frame; 10 s
	Lag      time.Duration // how far a reader may be behind in older groups of pictures; 3 s

	// RingBytes and RingAge bound what the ring keeps: 16 MiB, 12 s.
	RingBytes int
	RingAge   time.Duration

	Log zerolog.Logger
	// Observe takes each event, one after the other; may be nil. The stream's goroutine or
	// the session's waits for it, so it must return soon. It must not call the stream.
	Observe func(Event)
}

func (o Options) withDefaults() Options {
	preset := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	preset(&o.Grace, 10*time.Second)
	preset(&o.Opening, 30*time.Second)
	preset(&o.KeyFrame, 10*time.Second)
	preset(&o.Lag, 3*time.Second)
	preset(&o.RingAge, 12*time.Second)
	if o.RingBytes == 0 {
		o.RingBytes = 16 << 20
	}
	return o
}

// Stream is one stream of a camera. Its methods may be called concurrently.
type Stream struct {
	o Options

	mu      sync.Mutex
	phase   Phase
	since   time.Time // when the phase began
	attempt *attempt  // nil if the stream is idle
	readers []*Reader // with the Attach calls that wait
	grace   *time.Timer
	refused *failure.Failure // of Shutdown: the stream cannot be attached again

	lost  *failure.Failure // the newest failure; nil after a success
	tries int              // failures in a row

	timeline timeline
	ring     ring
	meter    meter
	opened   durations   // of the newest opening
	lastKey  *media.Unit // what LastKey returns

	units broadcast // the next unit
	keys  broadcast // the next key frame, and every change of readers and phases
	state broadcast // the next change of phase, hop or failure
}

// Configure changes the durations and sizes of the stream, as New reads them. They are in
// force at once, but for a grace or a wait for a key frame that has begun. Name, Open, Log
// and Observe stay.
func (s *Stream) Configure(o Options) {
	o = o.withDefaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Grace, s.o.Opening, s.o.KeyFrame, s.o.Lag = o.Grace, o.Opening, o.KeyFrame, o.Lag
	s.o.RingBytes, s.o.RingAge = o.RingBytes, o.RingAge
}

// New returns an idle stream. It starts no goroutine.
func New(o Options) *Stream { return &Stream{o: o.withDefaults()} }

// Attach returns a reader when the stream has its first key frame, or its first unit if the
// camera has no video. It opens the stream if it is idle. It returns the *failure.Failure of
// the opening, or ctx's cause. After a failed opening, and while a failed stream waits to
// open again, it returns the same failure until its RetryAt. The caller closes the reader.
func (s *Stream) Attach(ctx context.Context, w Want) (*Reader, error) {
	r, err := s.join(ctx, w)
	if err != nil {
		return nil, err
	}
	for {
		wait, err := r.admission()
		if err != nil {
			return nil, err
		}
		if wait == nil {
			return r, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			r.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// join adds a reader, and starts what is needed for it.
func (s *Stream) join(ctx context.Context, w Want) (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.refusal(); f != nil {
		return nil, f
	}
	r := &Reader{stream: s, want: w.Start}
	s.readers = append(s.readers, r)
	s.keepOpen()
	switch a := s.attempt; {
	case a == nil:
		s.begin(context.WithoutCancel(ctx)) // the stream outlives its first reader
	case a.live && !a.over:
		s.admit(r)
		s.enter(PhaseLive)
	}
	return r, nil
}

// refusal returns why a reader cannot join now. s.mu is held.
func (s *Stream) refusal() *failure.Failure {
	if s.refused != nil {
		return s.refused
	}
	if s.lost != nil && time.Now().Before(s.lost.RetryAt) {
		return s.lost
	}
	return nil
}

// admit makes a reader that joined a live stream ready. s.mu is held.
func (s *Stream) admit(r *Reader) {
	r.ready = true
	r.epoch = s.timeline.epoch
	r.restart(r.want)
}

// leave removes a reader. If it was the last one, the stream closes after its grace. s.mu is
// held.
func (s *Stream) leave(r *Reader) {
	at := slices.Index(s.readers, r)
	if at < 0 {
		return
	}
	s.readers = slices.Delete(s.readers, at, at+1)
	a := s.attempt
	switch {
	case len(s.readers) > 0 || a == nil || a.over:
	case a.pausing:
		s.stop(a, abandoned, nil)
	default:
		if a.live {
			s.enter(PhaseClosing)
		}
		s.startGrace(a)
	}
}

// startGrace stops the attempt after the grace, unless a reader joins. s.mu is held.
func (s *Stream) startGrace(a *attempt) {
	var timer *time.Timer
	timer = time.AfterFunc(max(s.o.Grace, 0), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.grace == timer {
			s.stop(a, unwatched, nil)
		}
	})
	s.grace = timer
}

// keepOpen ends the grace. s.mu is held.
func (s *Stream) keepOpen() {
	if s.grace != nil {
		s.grace.Stop()
		s.grace = nil
	}
}

// Close ends all readers and Attach calls with cause, closes the session, and returns when
// it is closed. A nil cause is StreamClosed. It forgets the last failure. The stream can be
// attached again, unless the reason of cause is ShuttingDown.
func (s *Stream) Close(cause error) {
	if ended := s.end(cause); ended != nil {
		<-ended
	}
}

// Shutdown closes the stream like Close with ShuttingDown, and waits until ctx is done at
// most. It returns ctx's cause if the session is not closed by then.
func (s *Stream) Shutdown(ctx context.Context) error {
	ended := s.end(failure.New(failure.Gateway, reason.ShuttingDown, nil))
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end ends readers and attempt, and returns what is closed when the attempt has ended; nil
// if there is none.
func (s *Stream) end(cause error) <-chan struct{} {
	f := failure.Of(cause)
	if f == nil {
		f = failure.New(failure.Gateway, reason.StreamClosed, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Reason == reason.ShuttingDown {
		s.refused = f
	}
	s.forget()
	s.dismiss(func(*Reader) bool { return true }, f)
	s.keepOpen()
	if s.attempt == nil {
		return nil
	}
	s.stop(s.attempt, closed, f)
	return s.attempt.ended
}

// Forget forgets the last failure: the next Attach opens the stream at once, and a stream
// that waits to open again does so now. A caller calls it after a change of the camera's
// configuration.
func (s *Stream) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if s.attempt != nil {
		s.attempt.hurry()
	}
}

// forget is Forget without an effect on the attempt. s.mu is held.
func (s *Stream) forget() { s.lost, s.tries = nil, 0 }

// dismiss ends the readers that match. s.mu is held.
func (s *Stream) dismiss(match func(*Reader) bool, f *failure.Failure) {
	s.readers = slices.DeleteFunc(s.readers, func(r *Reader) bool {
		if !match(r) {
			return false
		}
		r.err = f
		return true
	})
	s.wakeAll()
}

// wakeAll wakes all readers and Attach calls. s.mu is held.
func (s *Stream) wakeAll() {
	wake(s.units.take())
	wake(s.keys.take())
}

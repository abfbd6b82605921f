package stream

import (
	"context"
	"errors"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// attempt is one session of a stream, from the pause before its opening to its end. Stream.mu
// guards its fields.
type attempt struct {
	cancel context.CancelFunc // ends the pause and the opening, and closes the session
	ended  chan struct{}      // closed when the session is closed
	ending ending             // why the stream stopped it
	cause  *failure.Failure   // the same, if it is a failure

	until   time.Time     // the end of the pause
	now     chan struct{} // closed to end the pause early
	pausing bool

	hop  failure.Hop // what the opening works on
	mark time.Time   // when it began with that
	took durations   // before mark

	noKey *time.Timer // fails the attempt if there is no key frame
	live  bool        // the first key frame is in the ring
	begin time.Time   // of live
	over  bool        // it ends or has ended: its units are late
}

// ending is how an attempt ends.
type ending int

const (
	failed    ending = iota // it failed, or had no key frame
	unwatched               // the grace after the last reader is over
	abandoned               // the last reader left in the pause
	closed                  // Close
)

// newAttempt returns an attempt that pauses until a time, and the context of its life.
func newAttempt(life context.Context, until time.Time) (context.Context, *attempt) {
	ctx, cancel := context.WithCancel(life)
	return ctx, &attempt{
		cancel: cancel, ended: make(chan struct{}), until: until, now: make(chan struct{}), pausing: true,
	}
}

// opening reports whether the attempt opens its session, or waits for its first key frame.
func (a *attempt) opening() bool { return !a.pausing && !a.live && !a.over }

// hurry ends the pause.
func (a *attempt) hurry() {
	select {
	case <-a.now:
	default:
		close(a.now)
	}
}

// progress begins a hop, and adds the time of the last one to its part of the opening.
func (a *attempt) progress(h failure.Hop) {
	now := time.Now()
	a.took = a.durations(now)
	a.hop, a.mark = h, now
}

// durations returns what the parts of the opening took so far.
func (a *attempt) durations(now time.Time) durations {
	took := a.took
	if !a.mark.IsZero() {
		took[phaseIndex(a.hop)] += now.Sub(a.mark)
	}
	return took
}

// failure returns why the attempt ended: why the stream stopped it, or err. A timeout has the
// hop that it waited for.
func (a *attempt) failure(err error) *failure.Failure {
	if a.cause != nil {
		return a.cause
	}
	if _, ok := errors.AsType[*failure.Failure](err); !ok && errors.Is(err, context.DeadlineExceeded) {
		return failure.New(a.hop, reason.OpeningTimeout, err)
	}
	return failure.Of(err)
}

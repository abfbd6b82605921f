package stream

import (
	"context"
	"slices"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// begin starts the goroutine of a stream that is idle. life is not canceled. s.mu is held.
func (s *Stream) begin(life context.Context) {
	ctx, a := s.prepare(life, PhaseOpening, time.Time{})
	go s.run(life, ctx, a)
}

// prepare makes the next attempt the current one, and returns the context that stop cancels.
// s.mu is held.
func (s *Stream) prepare(life context.Context, p Phase, until time.Time) (context.Context, *attempt) {
	ctx, a := newAttempt(life, until)
	s.attempt = a
	s.enter(p)
	return ctx, a
}

// run runs one attempt after the other until the stream is idle. Close waits for it.
func (s *Stream) run(life, ctx context.Context, a *attempt) {
	for a != nil {
		err := s.try(ctx, a)
		a.cancel()
		ended := a.ended
		var event Event
		event, ctx, a = s.after(life, a, err)
		s.report(event)
		close(ended)
	}
}

// try runs one attempt. It returns why it ended, when its session is closed.
func (s *Stream) try(ctx context.Context, a *attempt) error {
	if err := s.pause(ctx, a); err != nil {
		return err
	}
	session, err := s.open(ctx, a)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	keep := context.AfterFunc(ctx, func() {
		session.Close()
		close(closed)
	})
	s.awaitKey(a)
	err = session.Wait()
	if keep() {
		session.Close()
	} else {
		<-closed
	}
	if err == nil {
		err = failure.New(failure.Media, reason.MediaStopped, nil)
	}
	return err
}

// pause waits until the attempt may open its session.
func (s *Stream) pause(ctx context.Context, a *attempt) error {
	timer := time.NewTimer(time.Until(a.until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.now:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.over {
		return context.Canceled
	}
	a.pausing = false
	s.progress(a, failure.Gateway)
	if s.ring.stale(a.mark, s.o.Lag) {
		s.ring.clear()
	}
	return nil
}

// open opens a session.
func (s *Stream) open(ctx context.Context, a *attempt) (Session, error) {
	s.mu.Lock()
	limit := s.o.Opening
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	deliver := func(u *media.Unit) { s.publish(a, u) }
	return s.o.Open(ctx, deliver, func(h failure.Hop) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.opening() {
			s.progress(a, h)
		}
	})
}

// awaitKey fails an attempt whose session has no key frame in time.
func (s *Stream) awaitKey(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.opening() {
		return
	}
	s.progress(a, failure.Media)
	a.noKey = time.AfterFunc(s.o.KeyFrame, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !a.live {
			s.stop(a, failed, failure.New(failure.Media, reason.NoKeyFrame, nil))
		}
	})
}

// stop ends an attempt. Its units are late from now on. If it ends already, only Close
// changes why. s.mu is held.
func (s *Stream) stop(a *attempt, why ending, f *failure.Failure) {
	if a.over && why != closed {
		return
	}
	a.over, a.ending, a.cause = true, why, f
	if len(s.readers) == 0 {
		s.enter(PhaseClosing)
	}
	a.cancel()
}

// publish puts a unit of an attempt into the ring, and wakes those that wait for it.
func (s *Stream) publish(a *attempt, u *media.Unit) {
	now := time.Now()
	s.mu.Lock()
	if a.over || !s.timeline.place(u, now, !a.live) {
		s.mu.Unlock()
		return
	}
	main := u.Track == u.Epoch.MainTrack()
	key := main && u.Key
	s.ring.add(u, key, now, keep{s.o.RingBytes, s.o.RingAge, s.o.Lag})
	if key && u.Epoch.Tracks[u.Track].Video() {
		s.lastKey = u
	}
	s.meter.add(u, main, key, now)
	var opened Event
	if !a.live {
		opened = s.goLive(a, now)
	}
	units := s.units.take()
	var keys chan struct{}
	if key {
		keys = s.keys.take()
	}
	s.mu.Unlock()
	wake(units)
	wake(keys)
	if opened.Kind != "" {
		s.report(opened)
	}
}

// goLive makes the readers ready that wait for the key frame that was just published. s.mu is
// held.
func (s *Stream) goLive(a *attempt, now time.Time) Event {
	a.took = a.durations(now)
	a.live, a.begin = true, now
	if a.noKey != nil {
		a.noKey.Stop()
	}
	s.opened, s.lost = a.took, nil
	wake(s.state.take())
	for _, r := range s.readers {
		if !r.ready {
			r.opener, r.firstKey = true, s.ring.next-1
			s.admit(r)
		}
	}
	if s.enter(PhaseLive); len(s.readers) == 0 {
		s.enter(PhaseClosing)
	}
	event := s.event(EventOpened)
	event.Took = a.took.byPhase()
	return event
}

// after decides what follows an attempt: the next one, or an idle stream.
func (s *Stream) after(life context.Context, a *attempt, err error) (Event, context.Context, *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lived, took := s.settle(a)
	kind, f := EventClosed, a.cause
	switch a.ending {
	case abandoned:
		if s.lost != nil { // Forget was not called
			s.lost = s.lost.At(s.lost.Since, earlier(s.lost.RetryAt, time.Now().Add(idlePause)))
		}
	case failed:
		f = s.fail(a, err)
		switch {
		case len(s.readers) > 0:
			kind = EventReopening
		case !a.live:
			kind = EventFailed
		}
	}
	event := s.event(kind)
	event.Failure, event.Lived, event.Took = f, lived, took.byPhase()
	ctx, next := s.follow(life, kind)
	return event, ctx, next
}

// follow makes the next attempt, or the stream idle. s.mu is held.
func (s *Stream) follow(life context.Context, kind Kind) (context.Context, *attempt) {
	switch {
	case kind == EventReopening:
		return s.prepare(life, PhaseReopening, s.lost.RetryAt)
	case len(s.readers) > 0: // they came while the session closed
		return s.prepare(life, PhaseOpening, time.Time{})
	}
	s.attempt = nil
	s.keepOpen()
	s.ring.clear()
	s.timeline.close()
	s.enter(PhaseIdle)
	return nil, nil
}

// settle ends an attempt. It returns how long it was live or, if it never was, how long its
// opening took. s.mu is held.
func (s *Stream) settle(a *attempt) (lived time.Duration, took durations) {
	now := time.Now()
	a.over = true
	if a.noKey != nil {
		a.noKey.Stop()
	}
	s.meter.stop()
	switch {
	case a.live:
		lived = now.Sub(a.begin)
		if lived >= steady {
			s.tries = 0
		}
	case !a.pausing:
		s.opened = a.durations(now)
		took = s.opened
	}
	return lived, took
}

// fail remembers why an attempt failed, and returns it to the Attach calls that wait. Readers
// that were attached before stay. s.mu is held.
func (s *Stream) fail(a *attempt, err error) *failure.Failure {
	f := a.failure(err)
	s.tries++
	since := time.Now()
	if s.lost != nil {
		since = s.lost.Since
	}
	stay := slices.ContainsFunc(s.readers, func(r *Reader) bool { return r.ready })
	switch {
	case stay && f.Lasting() && !starting(f, s.tries):
		s.lost = f.At(since, retryAt(f, lastingPause()))
	case stay:
		s.lost = f.At(since, retryAt(f, pause(s.tries, reopenPause)))
	case a.live: // a session without readers failed: that says nothing about the next
		s.lost = f.At(since, time.Time{})
	default:
		s.lost = f.At(since, retryAt(f, pause(s.tries, idlePause)))
	}
	s.dismiss(func(r *Reader) bool { return !r.ready }, s.lost)
	wake(s.state.take())
	return s.lost
}

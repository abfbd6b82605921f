package stream_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
)

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		r.Close()
		r.Close()
		wantPhase(t, s, stream.PhaseClosing)
		pass(9 * time.Second)

		// a reader in the grace finds the stream live
		began := time.Now()
		r, err := s.Attach(t.Context(), stream.Want{Start: stream.Live})
		if err != nil || time.Since(began) != 0 {
			t.Fatalf("Attach in the grace: %v after %v", err, time.Since(began))
		}
		wantPhase(t, s, stream.PhaseLive)
		if u := next(t, r); !u.Key || u.Epoch != session.epoch {
			t.Errorf("unit %+v", u)
		}
		pass(time.Minute)
		wantPhase(t, s, stream.PhaseLive)

		r.Close()
		pass(9900 * time.Millisecond)
		wantPhase(t, s, stream.PhaseClosing)
		pass(200 * time.Millisecond)
		state := wantPhase(t, s, stream.PhaseIdle)
		if state.Failure != nil || state.Epoch != nil || session.closes.Load() != 1 || c.opens.Load() != 1 {
			t.Errorf("state %+v, closes %d, opens %d", state, session.closes.Load(), c.opens.Load())
		}
		if _, err := r.Next(t.Context()); failure.Of(err).Reason != reason.ViewerClosed {
			t.Errorf("Next after Close: %v", err)
		}
	})
}

// New limits are in force in a stream that is open, and for its next opening.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, _ := live(t, s, c)
		s.Configure(stream.Options{Grace: time.Second, Opening: 2 * time.Second})
		r.Close()
		pass(900 * time.Millisecond)
		wantPhase(t, s, stream.PhaseClosing)
		pass(200 * time.Millisecond)
		wantPhase(t, s, stream.PhaseIdle)

		c.set(func(b *behavior) { b.delay = time.Minute })
		began := time.Now()
		if _, err := s.Attach(t.Context(), stream.Want{}); err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("the opening ended with %v after %v", err, time.Since(began))
		}
	})
}

// Each grace is whole: a timer of an earlier one does not end it.
func TestGrace_beginsAnewForEachReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, _ := live(t, s, c)
		for range 10 {
			r.Close()
			pass(9 * time.Second)
			r, _ = s.Attach(t.Context(), stream.Want{})
		}
		r.Close()
		pass(9 * time.Second)
		wantPhase(t, s, stream.PhaseClosing)
	})
}

// A reader that comes while the session is closed gets a new one.
func TestAttach_whileTheSessionCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.linger = 2 * time.Second })
		s := newStream(t, c)
		r, old := live(t, s, c)
		r.Close()
		pass(11 * time.Second) // one second into the session's Close
		result := attach(t, s, stream.NextKey)
		synctest.Wait()
		old.picture(true) // late
		synctest.Wait()
		if got := s.State(); got.Phase != stream.PhaseClosing || c.opens.Load() != 1 {
			t.Errorf("state %+v: an opening before the old session has ended", got)
		}
		session := <-c.sessions
		key := session.picture(true)
		a := <-result
		if a.err != nil || next(t, a.reader) != key {
			t.Fatalf("Attach: %v", a.err)
		}
		if session.epoch.Number != 2 {
			t.Errorf("epoch %d, want 2", session.epoch.Number)
		}
	})
}

func TestClose_endsReadersWithTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.linger = time.Second })
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		began := time.Now()
		s.Close(failure.New(failure.Gateway, reason.CameraRemoved, nil))
		if time.Since(began) != time.Second {
			t.Errorf("Close returned after %v, before the session has ended", time.Since(began))
		}
		wantFailure(t, <-ended, failure.Gateway, reason.CameraRemoved)
		session.picture(true)
		if got := wantPhase(t, s, stream.PhaseIdle); got.Readers != 0 || got.Failure != nil {
			t.Errorf("state %+v", got)
		}
		r.Close()

		// it can be attached again
		r, _ = live(t, s, c)
		s.Close(nil)
		_, err := r.Next(t.Context())
		wantFailure(t, err, failure.Gateway, reason.StreamClosed)
	})
}

func TestClose_endsAttachCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = time.Second })
		s := newStream(t, c)
		result := attach(t, s, stream.NextKey)
		synctest.Wait()
		s.Close(errors.New("a bug"))
		a := <-result
		wantFailure(t, a.err, failure.Gateway, reason.Internal)
		wantPhase(t, s, stream.PhaseIdle)
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.linger = 5 * time.Second })
		s := newStream(t, c)
		r, _ := live(t, s, c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		_, err := r.Next(t.Context())
		wantFailure(t, err, failure.Gateway, reason.ShuttingDown)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wantPhase(t, s, stream.PhaseIdle)
		_, err = s.Attach(t.Context(), stream.Want{})
		wantFailure(t, err, failure.Gateway, reason.ShuttingDown)
		if err := s.Shutdown(t.Context()); err != nil || c.opens.Load() != 1 {
			t.Errorf("Shutdown of an idle stream: %v; %d openings", err, c.opens.Load())
		}
	})
}

// 1,000 openings and closings leave no goroutine.
func TestStream_leavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c, func(o *stream.Options) { o.Grace = time.Millisecond })
		before := runtime.NumGoroutine()
		for i := range 1000 {
			r, session := live(t, s, c)
			switch i % 3 {
			case 0:
				r.Close()
				pass(time.Second)
			case 1:
				s.Close(nil)
			case 2:
				r.Close()
				session.end(errors.New("reset"))
			}
			synctest.Wait()
			wantPhase(t, s, stream.PhaseIdle)
		}
		// the runtime has goroutines of its own
		if after := runtime.NumGoroutine(); after > before+10 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
	})
}

// 10,000 configured cameras cost memory for their names and little else.
func TestNew_isSmall(t *testing.T) {
	const streams = 10000
	c := newCamera()
	var before, after runtime.MemStats
	goroutines := runtime.NumGoroutine()
	kept := make([]*stream.Stream, streams)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i] = stream.New(stream.Options{Open: c.open})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / streams
	t.Logf("%d bytes each", each)
	if each >= 1024 {
		t.Errorf("%d bytes for an idle stream, want less than 1024", each)
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("%d goroutines, %d before", got, goroutines)
	}
	runtime.KeepAlive(kept)
}

package stream_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
)

func TestAttach_returnsAtTheFirstKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = time.Second })
		s := newStream(t, c)
		if got := s.State(); got.Phase != stream.PhaseIdle {
			t.Fatalf("phase %s before the first reader", got.Phase)
		}
		result := attach(t, s, stream.NextKey)
		synctest.Wait()
		if got := wantPhase(t, s, stream.PhaseOpening); got.Hop != failure.Hub || got.Readers != 1 {
			t.Errorf("state %+v while the hub works", got)
		}
		pass(1500 * time.Millisecond)
		if got := s.State(); got.Hop != failure.RTSP {
			t.Errorf("hop %s while the camera works", got.Hop)
		}
		session := <-c.sessions
		pass(500 * time.Millisecond)
		session.picture(false)
		session.audio()
		synctest.Wait()
		select {
		case a := <-result:
			t.Fatalf("Attach returned %+v before a key frame", a)
		default:
		}
		if got := s.State(); got.Hop != failure.Media {
			t.Errorf("hop %s before the key frame", got.Hop)
		}
		key := session.picture(true)
		a := <-result
		if a.err != nil {
			t.Fatal(a.err)
		}
		if a.reader.Epoch() != session.epoch || session.epoch.Number != 1 {
			t.Errorf("epoch %+v", a.reader.Epoch())
		}
		if got := next(t, a.reader); got != key || got.Seq != 0 {
			t.Errorf("first unit %+v, want the key frame", got)
		}
		state := wantPhase(t, s, stream.PhaseLive)
		for phase, want := range map[stream.OpenPhase]time.Duration{
			stream.OpenHub: time.Second, stream.OpenRTSP: time.Second, stream.OpenKey: 500 * time.Millisecond,
		} {
			if got := state.OpenPhases[phase]; got != want {
				t.Errorf("phase %s took %v, want %v", phase, got, want)
			}
		}
		if state.Hop != "" || state.Failure != nil || state.Epoch != session.epoch || state.Bytes != 300 {
			t.Errorf("state %+v", state)
		}
	})
}

func TestAttach_soundAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.sound = true })
		s := newStream(t, c)
		result := attach(t, s, stream.NextKey)
		session := <-c.sessions
		first := session.audio()
		second := session.audio()
		a := <-result
		if a.err != nil {
			t.Fatal(a.err)
		}
		if next(t, a.reader) != first || next(t, a.reader) != second {
			t.Error("the reader does not begin at the first unit")
		}
	})
}

func TestAttach_opensOnceForManyReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = time.Second })
		s := newStream(t, c)
		var results []<-chan attached
		for range 5 {
			results = append(results, attach(t, s, stream.NextKey))
		}
		session := <-c.sessions
		key := session.picture(true)
		for _, result := range results {
			if a := <-result; a.err != nil || next(t, a.reader) != key {
				t.Errorf("Attach: %v", a.err)
			}
		}
		if got := c.opens.Load(); got != 1 {
			t.Errorf("%d openings for 5 readers", got)
		}
	})
}

func TestAttach_endsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = 20 * time.Second })
		s := newStream(t, c)
		gone := errors.New("the player is gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, gone)
		defer cancel()
		if _, err := s.Attach(ctx, stream.Want{}); !errors.Is(err, gone) {
			t.Fatalf("Attach: %v", err)
		}
		pass(9 * time.Second)
		if got := wantPhase(t, s, stream.PhaseOpening); got.Readers != 0 {
			t.Errorf("%d readers", got.Readers)
		}
		pass(1100 * time.Millisecond)
		synctest.Wait()
		if got := wantPhase(t, s, stream.PhaseIdle); got.Failure != nil {
			t.Errorf("failure %v after an opening that was not needed", got.Failure)
		}
	})
}

func TestAttach_returnsTheOpeningsFailureToAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = time.Second })
		c.set(func(b *behavior) { b.fail = failure.New(failure.Hub, reason.ModuleOffline, nil) })
		s := newStream(t, c)
		began := time.Now()
		first, second := attach(t, s, stream.NextKey), attach(t, s, stream.Live)
		a, b := <-first, <-second
		wantFailure(t, a.err, failure.Hub, reason.ModuleOffline)
		wantFailure(t, b.err, failure.Hub, reason.ModuleOffline)
		f := failure.Of(a.err)
		if !f.Since.Equal(began.Add(2 * time.Second)) {
			t.Errorf("since %v, want 2 s after %v", f.Since, began)
		}
		if wait := f.RetryAt.Sub(f.Since); wait <= 0 || wait > 500*time.Millisecond {
			t.Errorf("first pause %v", wait)
		}
		synctest.Wait()
		if got := wantPhase(t, s, stream.PhaseIdle); got.Failure != f {
			t.Errorf("failure %v, want %v", got.Failure, f)
		}
	})
}

// A player that connects in a loop must not call the hub each time.
func TestAttach_remembersTheFailureUntilRetryAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.fail = failure.New(failure.Hub, reason.ModuleOffline, nil) })
		s := newStream(t, c)
		began := time.Now()
		var first *failure.Failure
		longest := time.Duration(0)
		for calls := 0; time.Since(began) < 5*time.Minute; calls++ {
			opens := c.opens.Load()
			_, err := s.Attach(t.Context(), stream.Want{})
			wantFailure(t, err, failure.Hub, reason.ModuleOffline)
			f := failure.Of(err)
			if first == nil {
				first = f
			}
			if !f.Since.Equal(first.Since) {
				t.Fatalf("since %v, want the first failure's %v", f.Since, first.Since)
			}
			if c.opens.Load() > opens {
				longest = max(longest, time.Until(f.RetryAt))
			}
			pass(10 * time.Millisecond)
		}
		// the mean pause is 5 s in the end
		if got := c.opens.Load(); got < 30 || got > 150 {
			t.Errorf("%d openings in 5 minutes", got)
		}
		if longest < 5*time.Second || longest > 10*time.Second {
			t.Errorf("longest pause %v, want at most 10 s", longest)
		}
	})
}

func TestForget_opensAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, forget := range map[string]func(*stream.Stream){
			"Forget": (*stream.Stream).Forget,
			"Close":  func(s *stream.Stream) { s.Close(nil) },
		} {
			c := newCamera()
			c.set(func(b *behavior) { b.fail = failure.New(failure.RTSP, reason.RTSPLogin, nil) })
			s := newStream(t, c)
			for tries := range 20 {
				if _, err := s.Attach(t.Context(), stream.Want{}); err == nil {
					t.Fatal("Attach returned no error")
				}
				if got := c.opens.Load(); got != int64(tries+1) {
					t.Fatalf("%s: %d openings after %d calls", name, got, tries+1)
				}
				f := s.State().Failure
				if wait := f.RetryAt.Sub(f.Since); wait > 500*time.Millisecond {
					t.Fatalf("%s: pause %v: the row of failures goes on", name, wait)
				}
				forget(s)
				if got := s.State(); got.Failure != nil {
					t.Fatalf("%s: failure %v", name, got.Failure)
				}
			}
		}
	})
}

func TestAttach_timeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.delay = 20 * time.Second }) // twice
		s := newStream(t, c)
		began := time.Now()
		_, err := s.Attach(t.Context(), stream.Want{})
		wantFailure(t, err, failure.RTSP, reason.OpeningTimeout)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v, want 30 s", took)
		}

		c.set(func(b *behavior) { b.delay = 0 })
		s.Forget()
		result := attach(t, s, stream.NextKey)
		session := <-c.sessions
		began = time.Now()
		for range 100 { // pictures, but no key frame
			session.picture(false)
			pass(99 * time.Millisecond)
		}
		a := <-result
		wantFailure(t, a.err, failure.Media, reason.NoKeyFrame)
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v, want 10 s", took)
		}
		synctest.Wait()
		if got := session.closes.Load(); got != 1 {
			t.Errorf("the session was closed %d times", got)
		}
		wantPhase(t, s, stream.PhaseIdle)
	})
}

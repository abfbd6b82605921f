package stream_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

var errReset = failure.New(failure.Gateway, reason.TunnelLost, errors.New("reset"))

// position returns where the unit is on the stream's own clock.
func position(u *media.Unit) time.Duration {
	return time.Duration(u.Epoch.Base[u.Track]+u.PTS) * time.Second / time.Duration(u.Epoch.Tracks[u.Track].ClockRate)
}

func TestReopen_readersStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, old := live(t, s, c)
		first := next(t, r)
		old.play(50, 25)
		last := old.picture(true)
		for next(t, r) != last {
		}
		pass(time.Minute)
		lost := time.Now()
		old.end(errReset)
		synctest.Wait()
		state := wantPhase(t, s, stream.PhaseReopening)
		if f := state.Failure; f.Reason != reason.TunnelLost || !f.Since.Equal(lost) || f.RetryAt.Sub(lost) > 500*time.Millisecond {
			t.Errorf("failure %v since %v, retry at %v", f, f.Since, f.RetryAt)
		}
		old.picture(true) // late
		session := <-c.sessions
		synctest.Wait() // Open returns
		if got := wantPhase(t, s, stream.PhaseReopening); got.Hop != failure.Media {
			t.Errorf("hop %s", got.Hop)
		}
		session.audio()
		session.picture(false)
		key := session.picture(true)
		if got := wantPhase(t, s, stream.PhaseLive); got.Failure != nil || got.Readers != 1 {
			t.Errorf("state %+v", got)
		}
		got := next(t, r)
		if got != key || key.Epoch != session.epoch || key.Epoch.Number != 2 || key.Seq != last.Seq+3 {
			t.Fatalf("after the reopening: %+v, want %+v after Seq %d", got, key, last.Seq)
		}
		// the base is the wall clock's distance
		if want := time.Since(first.Wall); position(key)-want > frame+time.Millisecond || want-position(key) > time.Millisecond {
			t.Errorf("key frame at %v, %v after the first", position(key), want)
		}
		if groups, units := r.Skipped(); groups != 0 || units != 0 {
			t.Errorf("skipped %d groups, %d units", groups, units)
		}
	})
}

// The wall clock may go back: a camera's time does not.
func TestReopen_baseNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		session.play(100, 25)
		for i := range 5 {
			var last *media.Unit
			for range 20 {
				last = session.picture(true)
			}
			sound := session.audio()
			for u := next(t, r); u != sound; u = next(t, r) {
			}
			c.set(func(b *behavior) { b.begin = time.Now().Add(-time.Duration(i) * time.Hour) })
			session.end(errReset)
			session = <-c.sessions
			session.picture(true)
			u := next(t, r)
			if u.Epoch != session.epoch || position(u) <= position(last) {
				t.Fatalf("epoch %d begins at %v, the last unit was at %v", u.Epoch.Number, position(u), position(last))
			}
			early := session.audio()
			if got := next(t, r); got != early || position(got) <= position(sound) {
				t.Fatalf("sound at %v after %v", position(got), position(sound))
			}
		}
	})
}

func TestReopen_pauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		c.set(func(b *behavior) { b.fail = failure.New(failure.Hub, reason.ModuleOffline, nil) })
		pass(time.Minute)
		session.end(errReset)
		synctest.Wait()
		since := s.State().Failure.Since
		limit, longest := 500*time.Millisecond, time.Duration(0)
		for range 100 {
			f := wantPhase(t, s, stream.PhaseReopening).Failure
			wait := time.Until(f.RetryAt)
			if wait <= 0 || wait > limit || !f.Since.Equal(since) {
				t.Fatalf("pause %v, limit %v; since %v, want %v", wait, limit, f.Since, since)
			}
			limit, longest = min(2*limit, 30*time.Second), max(longest, wait)
			pass(wait)
			synctest.Wait()
		}
		if longest < 20*time.Second {
			t.Errorf("longest of 100 pauses %v", longest)
		}

		// a failure that only a change heals waits long at once
		c.set(func(b *behavior) { b.fail = failure.New(failure.RTSP, reason.RTSPLogin, nil) })
		s.Forget()
		synctest.Wait()
		if f := s.State().Failure; f.Reason != reason.RTSPLogin || time.Until(f.RetryAt) < 15*time.Second {
			t.Errorf("failure %v, retry in %v", f, time.Until(f.RetryAt))
		}
		// and Forget, after the change, does not wait
		c.set(func(b *behavior) { b.fail = nil })
		s.Forget()
		(<-c.sessions).picture(true)
		wantPhase(t, s, stream.PhaseLive)
	})
}

// A failure's own time to retry, such as a hub's, is respected within bounds.
func TestReopen_respectsRetryAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		for asked, want := range map[time.Duration]time.Duration{40 * time.Second: 40 * time.Second, time.Hour: time.Minute} {
			c.set(func(b *behavior) {
				b.fail = failure.New(failure.Hub, reason.HubThrottled, nil).At(time.Time{}, time.Now().Add(asked))
			})
			_, err := s.Attach(t.Context(), stream.Want{})
			wantFailure(t, err, failure.Hub, reason.HubThrottled)
			if got := time.Until(failure.Of(err).RetryAt); got != want {
				t.Errorf("asked for %v, got %v", asked, got)
			}
			s.Forget()
		}
	})
}

// A camera whose sessions end soon is not opened twice a second.
func TestReopen_shortSessionsAreOneRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		began := time.Now()
		const sessions = 60
		for range sessions {
			pass(time.Second)
			session.end(errReset)
			session = <-c.sessions
			session.picture(true)
		}
		if took := time.Since(began); took < sessions*5*time.Second {
			t.Errorf("%d sessions in %v", sessions, took)
		}
		pass(11 * time.Second)
		session.end(errReset)
		synctest.Wait()
		if wait := time.Until(s.State().Failure.RetryAt); wait > 500*time.Millisecond {
			t.Errorf("pause %v after a steady session", wait)
		}
	})
}

func TestReopen_withoutKeyFrameIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		session.end(nil)
		session = <-c.sessions
		session.picture(false)
		pass(10 * time.Second)
		synctest.Wait()
		f := wantPhase(t, s, stream.PhaseReopening).Failure
		wantFailure(t, f, failure.Media, reason.NoKeyFrame)
		(<-c.sessions).picture(true)
		if u := next(t, r); u.Epoch.Number != 2 {
			t.Errorf("epoch %d", u.Epoch.Number)
		}
	})
}

// A new reader learns why there is no picture; the old ones stay.
func TestReopen_attach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		old, session := live(t, s, c)
		next(t, old)
		c.set(func(b *behavior) { b.delay = 5 * time.Second })
		session.end(errReset)
		synctest.Wait()
		_, err := s.Attach(t.Context(), stream.Want{})
		wantFailure(t, err, failure.Gateway, reason.TunnelLost)

		// while it opens again, a new reader waits for that
		pass(time.Until(failure.Of(err).RetryAt) + time.Second)
		result := attach(t, s, stream.NextKey)
		synctest.Wait()
		c.set(func(b *behavior) { b.fail = failure.New(failure.Hub, reason.ModuleOffline, nil) })
		a := <-result
		wantFailure(t, a.err, failure.Hub, reason.ModuleOffline)
		if got := wantPhase(t, s, stream.PhaseReopening); got.Readers != 1 {
			t.Errorf("%d readers, want the old one", got.Readers)
		}
		pass(time.Until(s.State().Failure.RetryAt) + time.Second)
		result = attach(t, s, stream.NextKey)
		synctest.Wait()
		c.set(func(b *behavior) { b.fail = nil })
		session = <-c.sessions
		key := session.picture(true)
		a = <-result
		if a.err != nil || next(t, a.reader) != key || next(t, old) != key {
			t.Errorf("Attach: %v", a.err)
		}
	})
}

func TestReopen_endsWithTheLastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		c.set(func(b *behavior) { b.fail = failure.New(failure.Camera, reason.CameraRefused, nil) })
		session.end(errReset)
		for tries := range 10 { // until the pause is long
			synctest.Wait()
			f := s.State().Failure
			if tries > 7 && time.Until(f.RetryAt) > time.Second {
				break
			}
			pass(time.Until(f.RetryAt))
		}
		opens := c.opens.Load()
		r.Close()
		synctest.Wait()
		f := wantPhase(t, s, stream.PhaseIdle).Failure
		if f.Reason != reason.CameraRefused || time.Until(f.RetryAt) > 10*time.Second {
			t.Errorf("failure %v, retry in %v", f, time.Until(f.RetryAt))
		}
		if _, err := s.Attach(t.Context(), stream.Want{}); failure.Of(err).Reason != reason.CameraRefused {
			t.Errorf("Attach: %v", err)
		}
		pass(time.Minute)
		if got := c.opens.Load(); got != opens {
			t.Errorf("%d openings without a reader", got-opens)
		}
	})
}

// A session that fails in the grace closes the stream, and the next reader opens it.
func TestReopen_notInTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		r.Close()
		session.end(errReset)
		synctest.Wait()
		if f := wantPhase(t, s, stream.PhaseIdle).Failure; f == nil || !f.RetryAt.IsZero() {
			t.Errorf("failure %v", f)
		}
		live(t, s, c)
	})
}

// A camera that starts answers 404 for some seconds. After that, waiting alone does not heal
// it.
func TestReopen_cameraStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		c.set(func(b *behavior) { b.fail = failure.New(failure.RTSP, reason.RTSPNotFound, nil) })
		pass(time.Minute)
		session.end(errReset)
		var waited []time.Duration
		for range 8 {
			synctest.Wait()
			wait := time.Until(wantPhase(t, s, stream.PhaseReopening).Failure.RetryAt)
			waited = append(waited, wait)
			pass(wait)
		}
		for i, wait := range waited {
			if early := i < 5; early != (wait <= 8*time.Second) {
				t.Errorf("pauses %v", waited)
				break
			}
		}
	})
}

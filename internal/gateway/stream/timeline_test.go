package stream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// Base is exact after months, at any clock rate.
func TestBase_isTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		const months = 200 * 24 * time.Hour
		pass(months)
		session.epoch = &media.Epoch{Begin: time.Now(), Tracks: []media.Track{
			{Codec: media.Opus, ClockRate: 48000}, {Codec: media.H265, ClockRate: 90000}, {Codec: media.AAC, ClockRate: 44100}, {Codec: media.AAC},
		}}
		session.frames = 0
		session.picture(true)
		seconds := int64(months / time.Second)
		for i, want := range []int64{48000 * seconds, 90000 * seconds, 44100 * seconds, 0} {
			if got := session.epoch.Base[i]; got != want {
				t.Errorf("base %d of track %d, want %d", got, i, want)
			}
		}
		if session.epoch.Number != 2 {
			t.Errorf("epoch %d", session.epoch.Number)
		}
	})
}

// An epoch begins at a key frame of its main track; what precedes it is not published.
func TestEpoch_beginsAtAKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		first := next(t, r)
		old := session.epoch
		session.epoch = c.now().epoch()
		session.picture(false)
		session.audio()
		broken := &media.Unit{Epoch: session.epoch, Track: 2, Key: true}
		session.deliver(broken)
		session.deliver(&media.Unit{Track: 1, Key: true})
		key := session.picture(true)
		session.deliver(&media.Unit{Epoch: old, Track: 1, Key: true, DTS: 1 << 40, PTS: 1 << 40}) // late
		sound := session.audio()
		units := read(t, r)
		if len(units) != 2 || units[0] != key || units[1] != sound {
			t.Fatalf("%d units", len(units))
		}
		if key.Seq != first.Seq+3 || sound.Seq != 0 {
			t.Errorf("Seq %d and %d: units that were not published count", key.Seq, sound.Seq)
		}
	})
}

// A session that goes on with the epoch of another one has no key frame.
func TestEpoch_belongsToOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		old := session.epoch
		session.end(errReset)
		session = <-c.sessions
		session.epoch = old
		session.picture(true)
		wantPhase(t, s, stream.PhaseReopening)
	})
}

// With B frames, the first DTS of an epoch is below zero, and its last PTS is not the highest.
func TestEpoch_bFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		end := time.Duration(0)
		for range 3 { // at once: the wall clock stands still
			e := c.now().epoch()
			highest := end
			for i, pts := range []int64{0, 4, 2, 1, 3} {
				session.deliver(&media.Unit{Epoch: e, Track: 1, Key: i == 0, PTS: pts * 3600, DTS: int64(i-2) * 3600})
				u := next(t, r)
				decoded := time.Duration(e.Base[1]+u.DTS) * time.Second / videoRate
				if position(u) <= end || decoded <= end {
					t.Errorf("epoch %d: PTS at %v and DTS at %v, the last epoch ended at %v", e.Number, position(u), decoded, end)
				}
				highest = max(highest, position(u))
			}
			end = highest
		}
	})
}

// A stream that was idle goes on where it was.
func TestEpoch_afterIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		session.play(100, 25)
		last := session.picture(true)
		at := position(last)
		s.Close(nil)
		c.set(func(b *behavior) { b.begin = time.Now().Add(-time.Hour) })
		r, _ := live(t, s, c)
		u := next(t, r)
		if u.Epoch.Number != 2 || u.Seq != last.Seq+3 || position(u) <= at {
			t.Errorf("epoch %d, Seq %d at %v; the last was Seq %d at %v", u.Epoch.Number, u.Seq, position(u), last.Seq, at)
		}
		if got := s.State().Phase; got != stream.PhaseLive {
			t.Errorf("phase %s", got)
		}
	})
}

package stream_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// read returns the units that a reader gets without waiting.
func read(t *testing.T, r *stream.Reader) []*media.Unit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	defer cancel()
	var units []*media.Unit
	for {
		u, err := r.Next(ctx)
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			return units
		}
		units = append(units, u)
	}
}

// wantSkipped checks the counts of a reader.
func wantSkipped(t *testing.T, r *stream.Reader, groups, units uint64) {
	t.Helper()
	if g, u := r.Skipped(); g != groups || u != units {
		t.Errorf("skipped %d groups and %d units, want %d and %d", g, u, groups, units)
	}
}

func TestNext_wakesForEachUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		for _, send := range []func() *media.Unit{
			func() *media.Unit { return session.picture(false) },
			session.audio,
			func() *media.Unit { return session.picture(true) },
		} {
			got := make(chan *media.Unit, 1)
			go func() {
				u, _ := r.Next(t.Context())
				got <- u
			}()
			synctest.Wait()
			want := send()
			synctest.Wait()
			select {
			case u := <-got:
				if u != want {
					t.Errorf("unit %+v, want %+v", u, want)
				}
			default:
				t.Fatalf("no reader wakes for %+v", want)
			}
		}
	})
}

func TestNext_skipsWholeGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		for range 24 { // the rest of the first group
			pass(frame)
			session.picture(false)
		}
		session.play(100, 25) // 4 s in 4 groups
		units := read(t, r)   // more than 3 s behind
		if len(units) != 25 || !units[0].Key {
			t.Fatalf("%d units, the first %+v; want the newest group", len(units), units[0])
		}
		wantSkipped(t, r, 4, 24+75)

		// a reader in time loses nothing
		for range 10 {
			session.play(25, 25)
			if units := read(t, r); len(units) != 25 {
				t.Fatalf("%d units of a group", len(units))
			}
		}
		session.play(70, 25) // 2.8 s
		if units := read(t, r); len(units) != 70 {
			t.Errorf("%d units, want all", len(units))
		}
		wantSkipped(t, r, 4, 24+75)
	})
}

// A reader that is behind in a long group reads on: there is no newer key frame.
func TestNext_longGroupIsNotBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		session.play(1, 1)
		for range 199 { // 8 s without a key frame
			session.picture(false)
			pass(frame)
		}
		if units := read(t, r); len(units) != 200 {
			t.Errorf("%d units, want all of the group", len(units))
		}
		wantSkipped(t, r, 0, 0)
	})
}

// A reader that the ring has left waits for a key frame if the ring has none.
func TestNext_afterTheRingLeftIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		for range 500 { // 20 s in one group: more than the ring's age
			session.picture(false)
			pass(frame)
		}
		if units := read(t, r); len(units) != 0 {
			t.Fatalf("%d units of a broken group", len(units))
		}
		// and so does a new reader
		late, err := s.Attach(t.Context(), stream.Want{Start: stream.Live})
		if err != nil {
			t.Fatal(err)
		}
		if units := read(t, late); len(units) != 0 {
			t.Fatalf("%d units of a broken group", len(units))
		}
		key := session.picture(true)
		session.picture(false)
		for _, r := range []*stream.Reader{r, late} {
			if units := read(t, r); len(units) != 2 || units[0] != key {
				t.Errorf("%d units, want two from the key frame on", len(units))
			}
		}
		wantSkipped(t, r, 1, 500)
		wantSkipped(t, late, 0, 0)
	})
}

func TestStart(t *testing.T) {
	// Two groups are in the ring, and a third follows.
	for name, test := range map[string]struct {
		start   stream.Start
		restart []stream.Start
		want    int // the index of the first unit: 0, 25 and 50 are key frames
	}{
		"next key frame":               {start: stream.NextKey, want: 50},
		"live":                         {start: stream.Live, want: 25},
		"restart at next key frame":    {start: stream.Live, restart: []stream.Start{stream.NextKey}, want: 50},
		"restart live":                 {start: stream.NextKey, restart: []stream.Start{stream.Live}, want: 25},
		"the last restart is in force": {start: stream.Live, restart: []stream.Start{stream.NextKey, stream.Live}, want: 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCamera()
				s := newStream(t, c)
				_, session := live(t, s, c)
				var units []*media.Unit
				units = append(units, session.picture(true))
				for i := 1; i < 40; i++ {
					pass(frame)
					units = append(units, session.picture(i%25 == 0))
				}
				r, err := s.Attach(t.Context(), stream.Want{Start: test.start})
				if err != nil {
					t.Fatal(err)
				}
				for _, start := range test.restart {
					r.Restart(stream.Want{Start: start})
				}
				var got []*media.Unit
				if test.want < 40 {
					got = read(t, r)
				}
				for i := 40; i < 60; i++ {
					pass(frame)
					units = append(units, session.picture(i%25 == 0))
				}
				got = append(got, read(t, r)...)
				if len(got) != 60-test.want || got[0] != units[test.want] {
					t.Errorf("%d units from the index %d on", len(got), 60-len(got))
				}
				wantSkipped(t, r, 0, 0)
			})
		})
	}
}

// The player that opens the camera needs a round trip from DESCRIBE to PLAY. It sees the
// first key frame nevertheless.
func TestRestart_openerBeginsAtTheFirstKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		for range 99 {
			pass(frame)
			session.picture(false)
		}
		r.Restart(stream.Want{Start: stream.NextKey})
		units := read(t, r)
		if len(units) != 100 || !units[0].Key {
			t.Fatalf("%d units, want the whole group", len(units))
		}
		// PAUSE and PLAY later: the next key frame
		for _, start := range []stream.Start{stream.NextKey, stream.Live} { // the reader has got the newest one
			r.Restart(stream.Want{Start: start})
			if units := read(t, r); len(units) != 0 {
				t.Fatalf("%d units before the next key frame", len(units))
			}
		}
		session.picture(false)
		key := session.picture(true)
		if units := read(t, r); len(units) != 1 || units[0] != key {
			t.Errorf("%d units, want the key frame", len(units))
		}
		wantSkipped(t, r, 0, 0)
	})
}

// A player that takes long from DESCRIBE to PLAY is not slow. It begins at a key frame that
// the ring has, at most the lag behind or the newest.
func TestRestart_lateOpener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		session.play(1000, 25)
		r.Restart(stream.Want{Start: stream.NextKey})
		units := read(t, r)
		if len(units) != 75 || !units[0].Key {
			t.Errorf("%d units, want the 3 s that the ring keeps", len(units))
		}
		wantSkipped(t, r, 0, 0)
	})
}

func TestRestart_whileNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		session.picture(true)
		r, err := s.Attach(t.Context(), stream.Want{})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan *media.Unit, 1)
		go func() {
			u, _ := r.Next(t.Context())
			got <- u
		}()
		synctest.Wait()
		session.picture(false)
		synctest.Wait()
		r.Restart(stream.Want{Start: stream.Live})
		if u := <-got; u == nil || !u.Key {
			t.Errorf("unit %+v, want the newest key frame", u)
		}
	})
}

func TestClose_whileNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, _ := live(t, s, c)
		next(t, r)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		r.Close()
		wantFailure(t, <-ended, failure.Viewer, reason.ViewerClosed)
	})
}

func TestNext_endsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		gone := errors.New("the player is gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if u := next(t, r); !u.Key {
			t.Fatal("no key frame")
		}
		if _, err := r.Next(ctx); !errors.Is(err, gone) {
			t.Errorf("Next: %v", err)
		}
		session.picture(true) // units that are there do not hide the end
		if _, err := r.Next(ctx); !errors.Is(err, gone) {
			t.Errorf("Next: %v", err)
		}
		next(t, r)
	})
}

func TestNext_doesNotAllocate(t *testing.T) {
	c := newCamera()
	s := newStream(t, c, func(o *stream.Options) { o.Lag = time.Hour })
	r, session := live(t, s, c)
	for range 2000 {
		session.picture(false)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = r.Next(ctx) }); n != 0 {
		t.Errorf("%v allocations a unit", n)
	}
}

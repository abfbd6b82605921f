package stream_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// sized delivers a picture of some bytes.
func (s *session) sized(size int, key bool) *media.Unit {
	s.frames++
	return s.send(&media.Unit{Track: 1, DTS: int64(s.frames), Key: key, Payload: [][]byte{make([]byte, size)}}, 0)
}

// The bytes of units count, and those of an idle time before do not.
func TestRing_bytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c, func(o *stream.Options) { o.RingBytes = 100_000 })
		for range 5 {
			r, session := live(t, s, c)
			next(t, r)
			for range 200 {
				session.sized(1000, false)
			}
			session.sized(1000, true)
			for range 200 {
				session.sized(1000, false)
			}
			if units := read(t, r); len(units) != 0 {
				t.Errorf("%d units of a broken group", len(units))
			}
			session.sized(200_000, true) // more than the bound: the newest unit is kept
			session.sized(1000, false)
			if units := read(t, r); len(units) != 0 {
				t.Errorf("%d units of a broken group", len(units))
			}
			session.sized(1000, true)
			for range 50 {
				session.sized(1000, false)
			}
			if units := read(t, r); len(units) != 51 {
				t.Errorf("%d units, want all", len(units))
			}
			s.Close(nil)
		}
	})
}

// Units without bytes do not fill the memory.
func TestRing_countsWhatUnitsCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c, func(o *stream.Options) { o.RingBytes = 100_000 })
		r, session := live(t, s, c)
		next(t, r)
		for range 1000 {
			session.sized(0, false)
		}
		if units := read(t, r); len(units) != 0 {
			t.Errorf("%d units of a group of more than 100 KB", len(units))
		}
	})
}

// Sound alone and MJPEG have key frames only: a reader that is a little late loses none.
func TestRing_keepsTheLagOfShortGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.sound = true })
		s := newStream(t, c)
		result := attach(t, s, stream.NextKey)
		session := <-c.sessions
		session.audio()
		r := (<-result).reader
		for range 140 { // 2.8 s
			pass(20 * time.Millisecond)
			session.audio()
		}
		if units := read(t, r); len(units) != 141 {
			t.Errorf("%d units, want all", len(units))
		}
		wantSkipped(t, r, 0, 0)
	})
}

// A reader that joins late in a long group begins with its picture.
func TestRing_keepsALongGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		session.play(100, 25)
		key := session.picture(true)
		for range 249 { // 10 s
			pass(frame)
			session.picture(false)
		}
		r, err := s.Attach(t.Context(), stream.Want{Start: stream.Live})
		if err != nil {
			t.Fatal(err)
		}
		if units := read(t, r); len(units) != 250 || units[0] != key {
			t.Errorf("%d units, want the group", len(units))
		}
	})
}

// What a reader has not read when the session fails is there after a quick reopening.
func TestRing_outlastsAShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		next(t, r)
		tail := []*media.Unit{session.picture(false), session.audio()}
		session.end(errReset)
		session = <-c.sessions
		tail = append(tail, session.picture(true))
		for i, want := range tail {
			if got := next(t, r); got != want {
				t.Errorf("unit %d: %+v, want %+v", i, got, want)
			}
		}
		wantSkipped(t, r, 0, 0)
	})
}

// In a long outage, the ring is empty, and no reader begins with an old picture.
func TestRing_isEmptyInALongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		_, session := live(t, s, c)
		r, err := s.Attach(t.Context(), stream.Want{})
		if err != nil {
			t.Fatal(err)
		}
		c.set(func(b *behavior) { b.fail = failure.New(failure.Hub, reason.HubDNS, nil) })
		session.end(errReset)
		pass(time.Minute)
		r.Restart(stream.Want{Start: stream.Live})
		if u, err := r.Poll(); u != nil || err != nil {
			t.Errorf("unit %+v, %v", u, err)
		}
		c.set(func(b *behavior) { b.fail = nil })
		session = <-c.sessions
		key := session.picture(true)
		if got := next(t, r); got != key {
			t.Errorf("unit %+v, want the key frame", got)
		}
	})
}

// An idle stream keeps no unit.
func TestRing_isEmptyWhenIdle(t *testing.T) {
	c := newCamera()
	s := newStream(t, c)
	r, session := live(t, s, c)
	unit := weak.Make(session.picture(false))
	r.Close()
	s.Close(nil)
	runtime.GC()
	if unit.Value() != nil {
		t.Error("the idle stream keeps a unit")
	}
	runtime.KeepAlive(s)
}

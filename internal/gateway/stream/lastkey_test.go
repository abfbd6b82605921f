package stream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/gateway/stream"
)

func TestLastKey_outlivesItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		if s.LastKey() != nil {
			t.Error("a key frame before the first session")
		}
		r, session := live(t, s, c)
		session.picture(false)
		key := session.picture(true)
		session.picture(false)
		session.audio()
		if got := s.LastKey(); got != key {
			t.Errorf("last key frame %+v, want %+v", got, key)
		}
		r.Close()
		pass(time.Minute)
		wantPhase(t, s, stream.PhaseIdle)
		if got := s.LastKey(); got != key {
			t.Errorf("an idle stream has %+v, want %+v", got, key)
		}
		_, session = live(t, s, c)
		if got := s.LastKey(); got == key || got.Epoch != session.epoch {
			t.Errorf("the next session has %+v", got)
		}
	})
}

func TestLastKey_soundHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		c.set(func(b *behavior) { b.sound = true })
		s := newStream(t, c)
		result := attach(t, s, stream.NextKey)
		session := <-c.sessions
		session.audio()
		<-result
		if got := s.LastKey(); got != nil {
			t.Errorf("sound has the key frame %+v", got)
		}
	})
}

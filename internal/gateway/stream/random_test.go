package stream_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// FuzzStream runs any order of what cameras, viewers and operators do, with readers of all
// speeds, and checks what each reader gets.
func FuzzStream(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		steps := make([]byte, 600)
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		f.Add(steps)
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, c: newCamera()}
			w.s = newStream(t, w.c, func(o *stream.Options) { o.RingBytes = 60_000 })
			for _, step := range steps[:min(len(steps), 2000)] {
				w.step(int(step))
			}
			w.end()
		})
	})
}

var errGone = errors.New("the player is gone")

// world is a stream with its camera and viewers.
type world struct {
	t       *testing.T
	c       *camera
	s       *stream.Stream
	session *session // nil before the first
	old     []*session

	watching sync.WaitGroup
	mu       sync.Mutex
	readers  []*viewer
	read     int // units, by all
}

// viewer is a reader that a step may restart.
type viewer struct {
	*stream.Reader
	restarted atomic.Bool
}

// step does one thing. Most steps are pictures.
func (w *world) step(n int) {
	select {
	case session := <-w.c.sessions:
		if w.session != nil {
			w.old = append(w.old, w.session)
		}
		w.session = session
	default:
	}
	pass(10 * time.Millisecond)
	switch what, arg := n%32, n/32; what {
	case 0, 1:
		w.attach(arg)
	case 2:
		w.each(arg, func(v *viewer) { v.Close() })
	case 3:
		w.each(arg, func(v *viewer) {
			v.restarted.Store(true)
			v.Restart(stream.Want{Start: stream.Start(arg % 2)})
		})
	case 4:
		w.breakSession(arg)
	case 5:
		w.late()
	case 6:
		pass([]time.Duration{0, 100 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 11 * time.Second, 31 * time.Second, 0}[arg])
	case 7:
		w.operate(arg)
	case 8, 9, 10, 11, 12:
		w.play(func(s *session) { s.picture(true) })
	case 13, 14, 15, 16, 17, 18:
		w.play(func(s *session) { s.audio() })
	case 19:
		w.play(func(s *session) { s.renew(w.c.now()) })
	default:
		w.play(func(s *session) { s.picture(false) })
	}
}

func (w *world) play(send func(*session)) {
	if w.session != nil {
		send(w.session)
	}
}

// renew begins a new epoch in the session, as after a change of the resolution.
func (s *session) renew(b behavior) {
	s.epoch, s.frames, s.sounds = b.epoch(), 0, 0
}

func (w *world) breakSession(arg int) {
	if w.session == nil {
		return
	}
	fails := []error{nil, nil, nil, failure.New(failure.Hub, reason.ModuleOffline, nil), failure.New(failure.RTSP, reason.RTSPLogin, nil)}
	w.c.set(func(b *behavior) {
		b.fail = fails[arg%len(fails)]
		b.delay, b.linger = time.Duration(arg%3)*time.Second, time.Duration(arg%2)*time.Second
		b.begin = time.Time{}
		if arg == 1 {
			b.begin = time.Now().Add(-24 * time.Hour)
		}
	})
	w.session.end(errReset)
}

// late delivers units of a session that has ended.
func (w *world) late() {
	for _, s := range w.old {
		s.picture(true)
		s.audio()
	}
}

func (w *world) operate(arg int) {
	switch arg {
	case 0:
		w.s.Close(nil)
		if got := w.s.State(); got.Failure != nil {
			w.t.Errorf("failure %v after Close", got.Failure)
		}
	case 1, 2:
		w.s.Forget()
	default:
		w.c.set(func(b *behavior) { b.fail = nil })
	}
}

func (w *world) each(arg int, do func(*viewer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, v := range w.readers {
		if i%8 == arg {
			do(v)
		}
	}
}

// attach starts a viewer that reads at once, or slowly.
func (w *world) attach(arg int) {
	pause := []time.Duration{0, 0, time.Millisecond, 100 * time.Millisecond, 700 * time.Millisecond, 5 * time.Second, 0, 0}[arg]
	want := stream.Want{Start: stream.Start(arg % 2)}
	w.watching.Go(func() {
		ctx, cancel := context.WithTimeoutCause(w.t.Context(), []time.Duration{time.Hour, 1500 * time.Millisecond}[arg/4], errGone)
		defer cancel()
		r, err := w.s.Attach(ctx, want)
		if err != nil {
			if _, ok := errors.AsType[*failure.Failure](err); !ok && !errors.Is(err, errGone) {
				w.t.Errorf("Attach: %v", err)
			}
			return
		}
		defer r.Close()
		if r.Epoch() == nil || r.Epoch().Number == 0 {
			w.t.Errorf("epoch %+v at Attach", r.Epoch())
		}
		w.mu.Lock()
		v := &viewer{Reader: r}
		w.readers = append(w.readers, v)
		w.mu.Unlock()
		w.watch(ctx, v, pause)
	})
}

// watch reads until the reader ends.
func (w *world) watch(ctx context.Context, v *viewer, pause time.Duration) {
	var order order
	for {
		u, err := v.Next(ctx)
		if err != nil {
			if _, ok := errors.AsType[*failure.Failure](err); !ok && !errors.Is(err, errGone) {
				w.t.Errorf("Next: %v", err)
			}
			return
		}
		_, skipped := v.Skipped()
		order.check(w.t, u, skipped, v.restarted.Load())
		w.mu.Lock()
		w.read++
		w.mu.Unlock()
		if pause > 0 {
			pass(pause)
		}
	}
}

// order is what a reader got last.
type order struct {
	unit    *media.Unit
	skipped uint64
	next    map[int]uint32        // Seq by track
	exact   map[int]bool          // nothing was skipped since
	at      map[int]time.Duration // by track
}

// check checks that a unit follows the ones before it: in order, and with a key frame at the
// begin, after each gap and in each epoch. A restart is a gap that is not counted.
func (o *order) check(t *testing.T, u *media.Unit, skipped uint64, restarted bool) {
	t.Helper()
	key := u.Key && u.Track == u.Epoch.MainTrack()
	switch {
	case o.unit == nil:
		o.next, o.exact, o.at = map[int]uint32{}, map[int]bool{}, map[int]time.Duration{}
		if !key {
			t.Errorf("the reader begins at %+v", u)
		}
	case u.Epoch.Number < o.unit.Epoch.Number:
		t.Errorf("epoch %d after %d", u.Epoch.Number, o.unit.Epoch.Number)
	case (u.Epoch != o.unit.Epoch || skipped != o.skipped) && !key:
		t.Errorf("after a gap or in a new epoch the reader goes on at %+v", u)
	}
	if skipped != o.skipped || restarted && key {
		clear(o.exact)
	}
	if want := o.next[u.Track]; u.Seq < want || u.Seq > want && o.exact[u.Track] {
		t.Errorf("track %d: Seq %d, want %d", u.Track, u.Seq, want)
	}
	if at, known := o.at[u.Track]; known && position(u) <= at {
		t.Errorf("track %d: %v after %v", u.Track, position(u), at)
	}
	o.unit, o.skipped = u, skipped
	o.next[u.Track], o.exact[u.Track] = u.Seq+uint32(len(u.Packets)), true
	o.at[u.Track] = position(u)
}

// end closes the stream, and waits for the viewers.
func (w *world) end() {
	w.s.Close(nil)
	synctest.Wait()
	if got := w.s.State(); got.Phase != stream.PhaseIdle && got.Readers == 0 {
		w.t.Errorf("state %+v after Close", got)
	}
	w.s.Close(nil)
	w.watching.Wait()
	w.t.Logf("%d units read", w.read)
}

package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	videoRate = 90000
	soundRate = 8000
	frame     = 40 * time.Millisecond
)

// camera is what a stream opens.
type camera struct {
	mu sync.Mutex
	behavior

	opens    atomic.Int64
	sessions chan *session // each session that was opened
}

// behavior is how a camera answers.
type behavior struct {
	fail   error         // of each opening; nil: it opens
	delay  time.Duration // of each opening
	linger time.Duration // of each session's Close
	sound  bool          // tracks: sound alone
	begin  time.Time     // of each epoch; zero: now
}

// set changes the behavior.
func (c *camera) set(change func(b *behavior)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.behavior)
}

func (c *camera) now() behavior {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.behavior
}

func newCamera() *camera { return &camera{sessions: make(chan *session, 1024)} }

func (c *camera) open(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
	c.opens.Add(1)
	progress(failure.Hub)
	if err := wait(ctx, c.now().delay); err != nil {
		return nil, err
	}
	progress(failure.RTSP)
	if err := wait(ctx, c.now().delay); err != nil {
		return nil, err
	}
	b := c.now()
	if b.fail != nil {
		return nil, b.fail
	}
	s := &session{epoch: b.epoch(), deliver: deliver, linger: b.linger, ended: make(chan error, 1)}
	c.sessions <- s
	return s, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pass lets time pass on the clock of a synctest bubble.
func pass(d time.Duration) { _ = wait(context.Background(), d) }

func (b behavior) epoch() *media.Epoch {
	e := &media.Epoch{Begin: b.begin, Tracks: []media.Track{
		{Codec: media.PCMA, ClockRate: soundRate},
		{Codec: media.H264, ClockRate: videoRate},
	}}
	if b.sound {
		e.Tracks = e.Tracks[:1]
	}
	if e.Begin.IsZero() {
		e.Begin = time.Now()
	}
	return e
}

// session is a session of a camera that a test plays.
type session struct {
	epoch   *media.Epoch
	deliver func(*media.Unit)
	linger  time.Duration
	frames  int // pictures so far in the epoch
	sounds  int

	ended  chan error
	closes atomic.Int64
	once   sync.Once
}

func (s *session) Wait() error { return <-s.ended }

func (s *session) Close() {
	s.closes.Add(1)
	pass(s.linger)
	s.end(errors.New("closed"))
}

// end ends the session, as a camera that breaks does.
func (s *session) end(err error) { s.once.Do(func() { s.ended <- err }) }

// picture delivers a picture, and returns it.
func (s *session) picture(key bool) *media.Unit {
	s.frames++
	return s.send(&media.Unit{Track: 1, DTS: int64(s.frames-1) * videoRate / 25, Key: key}, 3)
}

// audio delivers a unit of sound, and returns it.
func (s *session) audio() *media.Unit {
	s.sounds++
	return s.send(&media.Unit{Track: 0, DTS: int64(s.sounds-1) * soundRate / 50, Key: true}, 1)
}

func (s *session) send(u *media.Unit, packets int) *media.Unit {
	u.Epoch, u.PTS, u.Wall = s.epoch, u.DTS, time.Now()
	for range packets {
		u.Packets = append(u.Packets, make([]byte, 100))
	}
	s.deliver(u)
	return u
}

// play delivers pictures at their times: groups of gop pictures.
func (s *session) play(pictures, gop int) {
	for i := range pictures {
		s.picture(i%gop == 0)
		pass(frame)
	}
}

// newStream returns a stream of the camera with short names for its times.
func newStream(t *testing.T, c *camera, change ...func(*stream.Options)) *stream.Stream {
	t.Helper()
	o := stream.Options{Name: "site/front", Open: c.open}
	for _, f := range change {
		f(&o)
	}
	s := stream.New(o)
	t.Cleanup(func() { s.Close(nil) })
	return s
}

// attached is the result of an Attach call.
type attached struct {
	reader *stream.Reader
	err    error
}

// attach calls Attach in a goroutine.
func attach(t *testing.T, s *stream.Stream, start stream.Start) <-chan attached {
	t.Helper()
	result := make(chan attached, 1)
	go func() {
		r, err := s.Attach(t.Context(), stream.Want{Start: start})
		result <- attached{r, err}
	}()
	return result
}

// live opens the stream, and returns its first reader and session. The first key frame is in
// the ring.
func live(t *testing.T, s *stream.Stream, c *camera) (*stream.Reader, *session) {
	t.Helper()
	result := attach(t, s, stream.NextKey)
	session := <-c.sessions
	session.picture(true)
	a := <-result
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.reader, session
}

// next returns the next unit of a reader.
func next(t *testing.T, r *stream.Reader) *media.Unit {
	t.Helper()
	u, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func wantFailure(t *testing.T, err error, hop failure.Hop, code reason.Code) {
	t.Helper()
	f, ok := errors.AsType[*failure.Failure](err)
	if !ok || f.Hop != hop || f.Reason != code {
		t.Fatalf("error %v, want %s %s", err, hop, code)
	}
}

func wantPhase(t *testing.T, s *stream.Stream, want stream.Phase) stream.State {
	t.Helper()
	state := s.State()
	if state.Phase != want {
		t.Fatalf("phase %s, want %s (%+v)", state.Phase, want, state)
	}
	return state
}

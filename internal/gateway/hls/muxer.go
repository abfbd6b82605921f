package hls

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// muxer makes the playlists and files of one stream. It has a goroutine, run, which reads the
// stream.
type muxer struct {
	out    *Output
	name   string // of the stream
	log    zerolog.Logger
	life   context.Context //nolint:containedctx // of run
	cancel context.CancelCauseFunc
	idle   *time.Timer // ends the muxer; runs while no request does

	mu      sync.Mutex
	changed chan struct{} // closed at the next change of what is below
	ended   *failure.Failure
	active  int // requests that run
	asked   time.Time
	tracks  tracks           // of all generations
	now     *generation      // nil before the first unit
	lists   map[string]*list // by the file's name; empty before the first segment
	files   files            // that were asked for
	count   uint64           // generations so far
	base    uint64           // the first number of a segment
}

var errIdle = errors.New("no viewer asks")

// zero is when the numbers of segments count from: a muxer that starts later begins with a
// greater one than all before it had.
var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newMuxer returns a muxer with one request that runs. The caller calls run.
func newMuxer(o *Output, name string) *muxer {
	m := &muxer{
		out: o, name: name, log: o.o.Log.With().Str("muxer", name).Logger(),
		changed: make(chan struct{}), active: 1, lists: map[string]*list{},
		base: uint64(max(time.Since(zero), 0)/o.o.Segment) + gaps, //nolint:gosec // G115: not negative
	}
	m.life, m.cancel = context.WithCancelCause(o.life)
	m.idle = time.AfterFunc(idleAfter, m.expire)
	m.idle.Stop() // a request runs
	return m
}

// enter begins a request. It returns false if the muxer has ended.
func (m *muxer) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended != nil {
		return false
	}
	m.active++
	m.idle.Stop()
	return true
}

// leave ends a request.
func (m *muxer) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = time.Now()
	if m.active--; m.active == 0 {
		m.idle.Reset(idleAfter)
	}
}

// free returns when the last request ended, and whether none runs.
func (m *muxer) free() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked, m.active == 0
}

// expire ends a muxer that was not asked, and lets go of one that has ended.
func (m *muxer) expire() {
	m.out.mu.Lock()
	defer m.out.mu.Unlock()
	if _, free := m.free(); free { // no request begins without the output's lock
		m.out.drop(m)
		m.cancel(errIdle)
	}
}

// failure returns why the muxer has ended.
func (m *muxer) failure() *failure.Failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}

// run reads the stream until it ends, or until the muxer is not asked any more. Shutdown waits
// for it.
func (m *muxer) run() {
	began := time.Now()
	err := m.read(m.life)
	if m.life.Err() != nil {
		err = context.Cause(m.life)
	}
	f := failure.Of(err)
	line := m.log.Info().Dur("durMs", time.Since(began))
	if errors.Is(err, errIdle) {
		f = failure.New(failure.Gateway, reason.StreamClosed, nil)
	} else {
		line = line.Str("hop", string(f.Hop)).Str("reason", string(f.Reason))
	}
	m.mu.Lock()
	m.ended = f
	m.wake()
	m.mu.Unlock()
	if m.now != nil {
		m.now.close()
	}
	m.cancel(nil)
	if f.Reason != reason.TracksChanged { // players of these tracks must not get the next muxer's
		m.out.remove(m)
		m.idle.Stop()
	}
	line.Msg("muxer ended")
}

// wake wakes requests that wait. The caller holds the lock.
func (m *muxer) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *muxer) read(ctx context.Context) error {
	source, err := m.out.o.Find(ctx, m.name)
	if err != nil {
		return err
	}
	reader, err := source.Attach(ctx, stream.Want{Start: stream.Live})
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		u, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := m.write(u); err != nil {
			return err
		}
	}
}

// write writes a unit. A unit of a new epoch begins a new generation.
func (m *muxer) write(u *media.Unit) error {
	g := m.now
	if g == nil || g.epoch != u.Epoch {
		next, err := m.begin(u.Epoch)
		if err != nil {
			return err
		}
		g = next
	}
	m.mu.Lock()
	g.note(u)
	m.mu.Unlock()
	if err := g.write(u); err != nil {
		m.log.Debug().Err(err).Msg("unit is not muxed")
		if u.Key && u.Track == g.leading {
			return failure.New(failure.Media, reason.MediaInvalid, err)
		}
		return nil // the pictures up to the next key frame cannot be decoded alone either
	}
	m.mu.Lock()
	due := g.due(u, m.out.o.Part)
	m.mu.Unlock()
	if due {
		m.refresh(g, true)
	}
	return nil
}

// begin ends the current generation, and begins one for an epoch.
func (m *muxer) begin(e *media.Epoch) (*generation, error) {
	picked, err := pick(e)
	if err != nil {
		return nil, err
	}
	old := m.now
	if old != nil {
		if picked != m.tracks {
			return nil, failure.New(failure.Media, reason.TracksChanged, nil)
		}
		old.finish(m.out.o.Segment)
		m.refresh(old, true)
		old.close()
	}
	g, err := m.newGeneration(e)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tracks, m.now = picked, g
	m.count++
	return g, nil
}

// refresh composes the playlists anew, if the generation has a new part. exact says that the
// newest unit was written just now.
func (m *muxer) refresh(g *generation, exact bool) {
	if !g.filled.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now != g || m.ended != nil {
		return
	}
	changed := false
	for _, name := range g.names {
		answer := g.fetch(name)
		if answer.status != 200 {
			return
		}
		l := m.lists[name]
		if l == nil {
			l = &list{}
			m.lists[name] = l
		}
		more, err := l.update(g, answer.body.Bytes())
		if err != nil {
			m.log.Warn().Err(err).Msg("playlist is not read")
			return
		}
		changed = changed || more
	}
	if changed {
		g.rotated(exact)
		m.wake()
	}
}

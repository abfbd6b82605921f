package rtspout

import (
	"context"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// attachment is what a DESCRIBE, or a SETUP without one, keeps for a PLAY: the reader, and
// what the player knows of its tracks. While no player plays, it releases the reader after
// the hold time; PLAY attaches again then.
type attachment struct {
	server    *Server
	target    target
	camera    string
	stream    string
	principal Principal
	since     time.Time

	epoch *media.Epoch // as described
	out   *gortsplib.ServerStream
	ssrc  []uint32 // by track

	mu      sync.Mutex
	reader  *stream.Reader // nil while a player has it, and after close
	release func()
	timer   *time.Timer
}

// attach opens the target's stream for one player.
func (s *Server) attach(ctx context.Context, t target, p Principal) (*attachment, error) {
	a := &attachment{server: s, target: t, principal: p, since: time.Now()}
	var title string
	a.camera, a.stream, title = s.o.Resolve(t.name)
	reader, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	a.epoch = reader.Epoch()
	desc, err := describe(title, a.epoch)
	if err == nil {
		a.out = &gortsplib.ServerStream{Server: s.rtsp, Desc: desc}
		err = a.out.Initialize()
	}
	if err != nil {
		reader.Close()
		a.release()
		return nil, failure.New(failure.Media, reason.NoMedia, err)
	}
	a.ssrc = s.ssrcs(a.camera, a.stream, len(a.epoch.Tracks))
	a.hold(reader)
	return a, nil
}

// open returns a new reader. It takes a slot, which close gives back.
func (a *attachment) open(ctx context.Context) (*stream.Reader, error) {
	s := a.server
	if s.ctx.Err() != nil {
		return nil, failure.New(failure.Gateway, reason.ShuttingDown, nil)
	}
	pulled, err := s.o.Find(ctx, a.target.name)
	if err != nil {
		return nil, err
	}
	release, err := s.o.Acquire(a.camera)
	if err != nil {
		return nil, err
	}
	reader, err := pulled.Attach(ctx, a.target.want())
	if err != nil {
		release()
		return nil, err
	}
	a.mu.Lock()
	a.release = sync.OnceFunc(release)
	a.mu.Unlock()
	return reader, nil
}

// hold keeps the reader for at most the hold time.
func (a *attachment) hold(r *stream.Reader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reader = r
	a.timer = time.AfterFunc(a.server.times.hold, a.close)
}

// take returns the reader for a player, which closes it or calls hold; nil if it was
// released.
func (a *attachment) take() *stream.Reader {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.reader
	a.reader = nil
	if a.timer != nil {
		a.timer.Stop()
	}
	return r
}

// close releases the reader if no player has it.
func (a *attachment) close() {
	if r := a.take(); r != nil {
		a.closeReader(r)
	}
}

// closeReader closes a reader that take returned, and gives back its slot.
func (a *attachment) closeReader(r *stream.Reader) {
	r.Close()
	a.mu.Lock()
	release := a.release
	a.mu.Unlock()
	release()
}

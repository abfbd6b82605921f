package gateway

import (
	"context"
	"strings"
	"sync"

	"rtsptunnel/internal/gateway/stream"
)

// changes hands changes of cameras to the API, while clients read events. Without clients it
// has no goroutine, and with clients one for each stream that had a viewer lately, which waits
// for the stream. Its methods are safe for concurrent use.
type changes struct {
	mu  sync.Mutex
	now *watching // nil while no client reads
}

// watching is one call of watch.
type watching struct {
	changed func(camera string)
	ended   <-chan struct{}
	streams map[*stream.Stream]bool // that have a goroutine; guarded by changes.mu
	running sync.WaitGroup
}

// watch calls changed until ctx is done; see api.Options. all returns the streams that there
// are: follow adds those that come later.
func (c *changes) watch(ctx context.Context, changed func(camera string), all func() map[string]*entry) {
	w := &watching{changed: changed, ended: ctx.Done(), streams: map[*stream.Stream]bool{}}
	c.set(w)
	for full, e := range all() {
		c.follow(full, e)
	}
	<-ctx.Done()
	c.set(nil)
	w.running.Wait()
}

func (c *changes) set(w *watching) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = w
}

// fleet reports that the cameras were read again.
func (c *changes) fleet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		c.now.changed("") // only takes a note
	}
}

// follow reports the changes of a stream until it is dropped.
func (c *changes) follow(full string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.now; w != nil && !w.streams[e.stream] {
		w.streams[e.stream] = true
		w.running.Go(func() {
			w.follow(full[:strings.LastIndexByte(full, '/')], e)
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(w.streams, e.stream)
		})
	}
}

func (w *watching) follow(camera string, e *entry) {
	for {
		next := e.stream.Changed() // before the state is read
		w.changed(camera)
		select {
		case <-next:
		case <-e.dropped:
			w.changed(camera)
			return
		case <-w.ended:
			return
		}
	}
}

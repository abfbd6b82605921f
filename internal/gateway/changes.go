package gateway

import (
	"context"
	"strings"
	"sync"

	"rtsptunnel/internal/gateway/stream"
)

// changes hands changes of cameras to the API, while clients read events. Its methods are safe
// for concurrent use.
type changes struct {
	mu      sync.Mutex
	changed func(camera string) // nil while no client reads
}

// watch calls changed until ctx is done; see api.Options.
func (c *changes) watch(ctx context.Context, changed func(camera string)) {
	c.set(changed)
	defer c.set(nil)
	<-ctx.Done()
}

func (c *changes) set(changed func(camera string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = changed
}

// tell reports a change of a camera, or of any if the name is empty.
func (c *changes) tell(camera string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil {
		c.changed(camera) // only takes a note
	}
}

// fleet reports that the cameras were read again.
func (c *changes) fleet() { c.tell("") }

// event reports an event of a stream.
func (c *changes) event(e stream.Event) {
	if i := strings.LastIndexByte(e.Stream, '/'); i > 0 {
		c.tell(e.Stream[:i])
	}
}

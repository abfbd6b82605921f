package edge

import (
	"context"
	"sync"
	"time"
)

// settleTime is the most that a session's end waits for running calls.
const settleTime = 2 * time.Second

// calls are the running calls of Handler.Method, until the hub has their answers. They
// are in the MQTT client's goroutines, which nobody can wait for.
type calls struct {
	mu      sync.Mutex
	over    bool
	running int
	idle    chan struct{} // closed when running comes to 0; nil while it is 0
}

func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	if c.running == 0 {
		c.idle = make(chan struct{})
	}
	c.running++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// awaitIdle returns when no call runs, or after that time.
func (c *calls) awaitIdle(ctx context.Context, most time.Duration) {
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	if idle == nil {
		return
	}
	limit := time.NewTimer(most)
	defer limit.Stop()
	select {
	case <-ctx.Done():
	case <-idle:
	case <-limit.C:
	}
}

// wait lets no call begin any more and returns when none runs.
func (c *calls) wait() {
	c.mu.Lock()
	c.over = true
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

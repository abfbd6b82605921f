package hubconn

import (
	"context"
	"sync"
	"time"
)

// calls counts the running direct methods, each until the hub has its answer. They run in
// the MQTT client's goroutines, which the client offers no way to wait for.
type calls struct {
	mu      sync.Mutex
	ended   bool
	running int
	idle    chan struct{} // closed when running becomes 0; nil while it is 0
}

// enter counts a call that begins; it returns false after wait.
func (c *calls) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
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

// awaitIdle returns when no call runs, when ctx is done, or after limit.
func (c *calls) awaitIdle(ctx context.Context, limit time.Duration) {
	c.mu.Lock()
	idle := c.idle
	c.mu.Unlock()
	if idle == nil {
		return
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
	case <-idle:
	case <-timeout.C:
	}
}

// wait rejects new calls and returns when none runs.
func (c *calls) wait() {
	c.mu.Lock()
	c.ended = true
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

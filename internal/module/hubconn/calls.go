package hubconn

import (
	"context"
	"sync"
	"time"
)

// maxCalls is how many direct methods may run at once, each until its answer was handed to
// the connection. A call above it is refused.
const maxCalls = 256

// calls counts the direct methods that were accepted, each until the hub has its answer.
type calls struct {
	mu      sync.Mutex
	ended   bool
	running int           // until the answer is handed to the connection
	open    int           // the same calls, and those whose answers wait for the hub's acknowledgement
	idle    chan struct{} // closed when open becomes 0; nil while it is 0
}

// admission is what happens to a call that arrives.
type admission int

const (
	callAdmitted admission = iota // answered and left must follow
	callRefused                   // maxCalls run
	callDropped                   // wait was called
)

// enter counts a call that begins.
func (c *calls) enter() admission {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
		return callDropped
	case c.running == maxCalls:
		return callRefused
	case c.open == 0:
		c.idle = make(chan struct{})
	}
	c.running++
	c.open++
	return callAdmitted
}

// answered notes that a call's answer was handed to the connection.
func (c *calls) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

// left notes that the hub has the answer, or that the call no longer waits for that.
func (c *calls) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if c.open == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// awaitIdle returns when no call is open, when ctx is done, or after limit.
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

// wait drops new calls and returns when none is open.
func (c *calls) wait() {
	c.mu.Lock()
	c.ended = true
	idle := c.idle
	c.mu.Unlock()
	if idle != nil {
		<-idle
	}
}

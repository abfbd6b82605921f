package edge

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// answerTime is for an answer's way from Handler.Method to the wire. The library
	// publishes it after its dispatcher has returned and tells nobody when.
	answerTime = 250 * time.Millisecond
	// settleTime is the most that a session's end waits for running calls.
	settleTime = 2 * time.Second
)

// calls are the running calls of Handler.Method. They are started by the library's
// goroutines, which nobody can wait for.
type calls struct {
	mu      sync.Mutex
	over    bool
	running int
	last    time.Time     // when a call ended last
	idle    chan struct{} // closed when running comes to 0; nil while it is 0
}

// answer calls the handler, unless Run is over.
func (c *Client) answer(ctx context.Context, name string, payload []byte) (status int, body []byte) {
	if !c.calls.enter() {
		return http.StatusServiceUnavailable, []byte("null")
	}
	defer c.calls.leave()
	c.state.progress()
	return c.o.Handler.Method(ctx, name, payload)
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
	c.last = time.Now()
	if c.running == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// settle returns when no call runs and the last answer has had its time, or after
// settleTime.
func (c *calls) settle() {
	limit := time.After(settleTime)
	for {
		c.mu.Lock()
		idle, rest := c.idle, answerTime-time.Since(c.last)
		c.mu.Unlock()
		if idle == nil && rest <= 0 {
			return
		}
		var rested <-chan time.Time
		if idle == nil {
			rested = time.After(rest)
		}
		select {
		case <-idle: // nil while no call runs: then it is the rest that is waited for
		case <-rested:
		case <-limit:
			return
		}
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

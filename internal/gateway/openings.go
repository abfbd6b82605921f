package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// openings bounds the streams that open at once. The others wait in turn.
type openings struct {
	waiting atomic.Int64

	mu    sync.Mutex
	slots chan struct{} // a value for each stream that opens
}

// limit sets how many streams may open at once from now on. Those that open or wait keep
// their turn.
func (o *openings) limit(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(o.slots) != n {
		o.slots = make(chan struct{}, n)
	}
}

// acquire waits for a slot. The caller releases it. If the time for the opening ends
// first, the failure is LIMIT_OPENINGS.
func (o *openings) acquire(ctx context.Context) (release func(), err error) {
	o.mu.Lock()
	slots := o.slots
	o.mu.Unlock()
	o.waiting.Add(1)
	defer o.waiting.Add(-1)
	select { // channels serve those that wait in their order
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return nil, failure.New(failure.Gateway, reason.LimitOpenings, cause)
	}
	return nil, cause
}

package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// openings bounds the streams that open at once. The others wait in turn. Streams whose last
// opening or session failed get half of the slots at most: cameras that do not answer hold
// their slots for long, and must not keep the others waiting.
type openings struct {
	waiting atomic.Int64

	mu    sync.Mutex
	slots chan struct{} // a value for each stream that opens
	again chan struct{} // a value for each of them that opens after a failure
}

// limit sets how many streams may open at once from now on. Those that open or wait keep
// their turn.
func (o *openings) limit(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(o.slots) != n {
		o.slots, o.again = make(chan struct{}, n), make(chan struct{}, max(n/2, 1))
	}
}

// acquire waits for a slot. The caller releases it. again says that the stream opens after a
// failure. If the time for the opening ends first, the failure is LIMIT_OPENINGS.
func (o *openings) acquire(ctx context.Context, again bool) (release func(), err error) {
	o.mu.Lock()
	needed := []chan struct{}{o.slots}
	if again {
		needed = []chan struct{}{o.again, o.slots}
	}
	o.mu.Unlock()
	o.waiting.Add(1)
	defer o.waiting.Add(-1)
	for i, slots := range needed {
		select { // channels serve those that wait in their order
		case slots <- struct{}{}:
		case <-ctx.Done():
			giveBack(needed[:i])
			return nil, tooLate(ctx)
		}
	}
	return func() { giveBack(needed) }, nil
}

func giveBack(taken []chan struct{}) {
	for _, slots := range taken {
		<-slots
	}
}

// tooLate returns why a stream waits for its turn no longer.
func tooLate(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return failure.New(failure.Gateway, reason.LimitOpenings, cause)
	}
	return cause
}

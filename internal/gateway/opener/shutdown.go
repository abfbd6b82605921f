package opener

import (
	"context"
	"sync"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Shutdown ends all openings, closes all tunnels (Close 1001), and returns when they have
// ended. When ctx ends, it resets the tunnels that are still open and returns. Later calls of Open
// fail. Readers of the tunnels get reason.ShuttingDown.
func (o *Opener) Shutdown(ctx context.Context) {
	cause := failure.New(failure.Gateway, reason.ShuttingDown, nil)
	o.mu.Lock()
	o.down = cause
	for p := range o.opening {
		p.cancel(cause)
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	idle := o.idle
	o.checkIdle()
	tunnels := make([]*tunnel, 0, len(o.open))
	for t := range o.open {
		tunnels = append(tunnels, t)
	}
	o.mu.Unlock()

	var closing sync.WaitGroup
	for _, t := range tunnels {
		closing.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = t.ws.Reset() })()
			t.shut(cause)
		})
	}
	closing.Wait()
	select {
	case <-idle: // openings end with life
	case <-ctx.Done(): // the HTTP server waits for the answer to a handshake
	}
}

// checkIdle tells Shutdown that nothing is open. The caller holds mu.
func (o *Opener) checkIdle() {
	if o.idle == nil || len(o.opening) > 0 || len(o.open) > 0 {
		return
	}
	select {
	case <-o.idle:
	default:
		close(o.idle)
	}
}

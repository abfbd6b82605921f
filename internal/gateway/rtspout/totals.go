package rtspout

import (
	"sync"
	"sync/atomic"
)

// totals are the counters of all players, by output.
type totals struct {
	mu  sync.Mutex
	all map[string]*total
}

type total struct{ bytes, skipped, stalled atomic.Uint64 }

// of returns the counters of an output.
func (t *totals) of(output string) *total {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]*total{}
	}
	if t.all[output] == nil {
		t.all[output] = &total{}
	}
	return t.all[output]
}

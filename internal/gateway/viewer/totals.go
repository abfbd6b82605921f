package viewer

import (
	"sync/atomic"
	"time"
)

// counters are those of one output since New, but for viewers.
type counters struct {
	viewers                          atomic.Int64
	bytes, skipped, stalled, refused atomic.Uint64
}

// Totals are the counters of one output since New, but for Viewers.
type Totals struct {
	Viewers int // now
	Bytes   uint64
	Skipped uint64 // groups of pictures
	Stalled uint64 // viewers that ended because they did not read
	Refused uint64 // viewers above a limit, or during the shutdown
}

// Count returns the counters of an output.
func (s *Set) Count(output string) Totals {
	c := s.total(output)
	return Totals{
		Viewers: int(c.viewers.Load()), Bytes: c.bytes.Load(), Skipped: c.skipped.Load(), Stalled: c.stalled.Load(), Refused: c.refused.Load(),
	}
}

// total returns the counters of an output.
func (s *Set) total(output string) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.totals[output]
	if c == nil {
		c = &counters{}
		s.totals[output] = c
	}
	return c
}

// Snapshot is a viewer as it is now.
type Snapshot struct {
	Info

	ID      string
	Since   time.Time
	Bytes   uint64 // media that were written
	Skipped uint64 // groups of pictures
}

// List returns the viewers, in no particular order.
func (s *Set) List() []Snapshot {
	var list []Snapshot
	for _, v := range s.snapshot() {
		list = append(list, Snapshot{Info: v.info, ID: v.id, Since: v.since, Bytes: v.bytes.Load(), Skipped: v.skipped.Load()})
	}
	return list
}

package fleet

import (
	"encoding/json"
	"time"

	"rtsptunnel/internal/hub/hubclient"
)

// Want asks for a read, as Lookup of an unknown name does.
func (f *Fleet) Want() { f.want() }

// Reads returns how many reads have begun.
func (f *Fleet) Reads() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started
}

// Hold begins a read that runs until release is called.
func (f *Fleet) Hold() (release func()) {
	f.reading <- struct{}{}
	f.begin(f.started)
	return func() { <-f.reading }
}

// TakeWant reports whether a read is wanted, and forgets it.
func (f *Fleet) TakeWant() bool {
	select {
	case <-f.wanted:
		return true
	default:
		return false
	}
}

// OfTwins returns the cameras of twins that a hub answers a query with, one after the other.
// Text that is no twin is skipped.
func OfTwins(texts ...[]byte) []*Camera {
	last := &index{}
	modules := map[hubclient.Identity]*module{}
	for _, text := range texts {
		var r row
		if json.Unmarshal(text, &r) != nil {
			continue
		}
		modules[r.identity()] = newModule(r, modules[r.identity()], time.Now())
		last = build(Config{}, map[string]map[hubclient.Identity]*module{"hub": modules}, last)
	}
	return last.sorted
}

package faults

import (
	"maps"
	"math"
	"sync"
	"time"
)

// Set holds the rules in force. All methods are safe for concurrent use. An
// identity is named "device" or "device/module"; whether there is such a one
// is the caller's business.
type Set struct {
	mu         sync.Mutex
	hub        Rules
	identities map[string]Rules
	changed    chan struct{} // closed and replaced at each change
}

// New returns a set without rules.
func New() *Set {
	return &Set{identities: make(map[string]Rules), changed: make(chan struct{})}
}

// Put replaces the rules of the hub; those of identities stay. It returns
// ErrRules, wrapped, if a value is out of its range, and then changes nothing.
func (s *Set) Put(rules Rules) error {
	if err := rules.check(); err != nil {
		return err
	}
	s.change(func() { s.hub = rules.clone() })
	return nil
}

// PutFor replaces the rules of one identity, as Put does. Rules without any
// group remove them.
func (s *Set) PutFor(identity string, rules Rules) error {
	if err := rules.checkForIdentity(); err != nil {
		return err
	}
	s.change(func() {
		if rules == (Rules{}) {
			delete(s.identities, identity)
			return
		}
		s.identities[identity] = rules.clone()
	})
	return nil
}

// Clear removes all rules, those of identities too.
func (s *Set) Clear() {
	s.change(func() {
		s.hub = Rules{}
		clear(s.identities)
	})
}

// change makes a change and wakes everybody who waits.
func (s *Set) change(apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	apply()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Hub returns the rules of the hub.
func (s *Set) Hub() Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hub.clone()
}

// For returns the rules of one identity; not those of the hub that hold for
// it too.
func (s *Set) For(identity string) Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identities[identity].clone()
}

// Identities returns the rules of all identities that have any.
func (s *Set) Identities() map[string]Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.identities)
	for identity, rules := range all {
		all[identity] = rules.clone()
	}
	return all
}

// never is a wait that only a change ends.
const never = time.Duration(math.MaxInt64)

// await waits as long as remaining says, and asks again at each change. It
// returns false if done is closed first. remaining is called with the lock
// held.
func (s *Set) await(done <-chan struct{}, remaining func() time.Duration) bool {
	for {
		s.mu.Lock()
		wait, changed := remaining(), s.changed
		s.mu.Unlock()
		if wait <= 0 {
			return true
		}
		select {
		case <-time.After(wait):
		case <-changed:
		case <-done:
			return false
		}
	}
}

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}

package faults

import (
	"maps"
	"math"
	"sync"
	"time"
)

// Set holds the rules in force. All methods are safe for concurrent use. The name of an
// identity is "device" or "device/module"; the caller checks that it exists.
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

// Put replaces the rules of the hub, and leaves the rules of identities unchanged. It
// returns ErrRules, wrapped, if a value is out of range, and then changes nothing.
func (s *Set) Put(rules Rules) error {
	if err := rules.check(); err != nil {
		return err
	}
	s.change(func() { s.hub = rules.clone() })
	return nil
}

// PutFor replaces the rules of one identity, as Put does for the hub. Rules without a
// group delete them.
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

// Clear deletes all rules, also those of identities.
func (s *Set) Clear() {
	s.change(func() {
		s.hub = Rules{}
		clear(s.identities)
	})
}

// change applies a change and wakes all waiting calls.
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

// For returns the rules of one identity, without the hub's rules that apply to it as
// well.
func (s *Set) For(identity string) Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identities[identity].clone()
}

// Identities returns the rules of all identities that have rules.
func (s *Set) Identities() map[string]Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.identities)
	for identity, rules := range all {
		all[identity] = rules.clone()
	}
	return all
}

// never is a wait that only a change of the rules ends.
const never = time.Duration(math.MaxInt64)

// await waits as long as remaining returns, and calls it again after each change. It
// returns false if done is closed first. It holds the lock while it calls remaining.
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

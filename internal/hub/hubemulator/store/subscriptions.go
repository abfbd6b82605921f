package store

import (
	"maps"
	"slices"
)

// OpenSession begins or takes up the session an identity has with the broker
// (MQTT 3.1.1, 3.1.2.4). With clean, what was there is forgotten, and nothing
// outlives the connection; else the filters subscribed to earlier are returned,
// sorted, and present says whether there was a session. It returns
// ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) OpenSession(id ID, clean bool) (filters []string, present bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return nil, false, err
	}
	present = e.subscriptions != nil && !clean
	switch {
	case clean && e.subscriptions != nil:
		e.subscriptions = nil
		s.changed(e)
	case !clean && e.subscriptions == nil:
		e.subscriptions = make(map[string]bool)
		s.changed(e)
	}
	return slices.Sorted(maps.Keys(e.subscriptions)), present, nil
}

// SetSubscribed keeps that id has subscribed to filter, or has taken that
// back. It does nothing for an identity that is gone or whose session is a
// clean one.
func (s *Store) SetSubscribed(id ID, filter string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok || e.subscriptions == nil || e.subscriptions[filter] == on {
		return
	}
	if on {
		e.subscriptions[filter] = true
	} else {
		delete(e.subscriptions, filter)
	}
	s.changed(e)
}

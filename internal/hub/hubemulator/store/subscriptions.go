package store

import (
	"maps"
	"slices"
)

// OpenSession starts or resumes the MQTT session of an identity (MQTT 3.1.1, 3.1.2.4). If
// clean is true, it deletes an earlier session, and the new one ends with its connection.
// Otherwise it returns the filters that the session has, sorted, and present reports
// whether there was a session. It returns ErrDeviceNotFound or ErrModuleNotFound.
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

// SetSubscribed stores that id has subscribed to filter, or unsubscribed from it. It does
// nothing if id does not exist any more or has a clean session.
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

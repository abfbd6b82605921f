package store

// Each persistent change gets a number, its revision. Before it answers a request, a
// caller waits until the revision that the answer depends on is kept: a crash cannot
// lose it. Settings, twins, models and subscriptions are persistent. Connection states
// and activity times are not.

// KeepWith sets the function that Keep calls. It must return when every change up to
// revision is on stable storage, or return the error that prevents it. It is called
// without the lock held, by many goroutines at once. Call KeepWith before the first
// change.
func (s *Store) KeepWith(keep func(revision int64) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
}

// Revision returns the number of the latest change.
func (s *Store) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Keep waits until every change up to revision is kept, which means on stable storage.
// After an error the changes are still in force, but a crash may lose them; the next
// change tries to store them again. Without KeepWith, Keep returns nil at once and the
// store exists only in memory.
func (s *Store) Keep(revision int64) error {
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	if keep == nil {
		return nil
	}
	return keep(revision)
}

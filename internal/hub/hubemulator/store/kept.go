package store

// Changes are numbered, so that whoever answers a request can wait until all
// that the answer rests on is where a crash cannot take it. The numbers are
// revisions; what must outlive the process raises them: settings, twins,
// models and subscriptions, but not who is connected and who was heard of.

// KeepWith sets the function that Keep waits with: it returns once every
// change up to revision is safe, or with the error that forbids it. It is
// called without the lock held, by many goroutines at once. Call it before
// the first change.
func (s *Store) KeepWith(keep func(revision int64) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = keep
}

// Revision is the number of the latest change.
func (s *Store) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Keep returns once every change up to revision is safe. An error says that
// they may be lost; they are in force all the same, and are tried again with
// the next change. Without KeepWith nothing is ever safe, and Keep returns nil
// at once.
func (s *Store) Keep(revision int64) error {
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	if keep == nil {
		return nil
	}
	return keep(revision)
}

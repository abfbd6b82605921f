package store

import (
	"cmp"
	"iter"
	"slices"
)

// Twins yields the twins of all devices, or of all modules, whose ID is greater than
// after; the zero ID is less than all others. They are sorted by device, then by module.
// No lock is held between two twins: each has its state at the time that it is yielded.
// A twin that is deleted during the iteration is skipped, and a new one may be.
func (s *Store) Twins(after ID, modules bool) iter.Seq[Twin] {
	return func(yield func(Twin) bool) {
		for _, id := range s.idsAfter(after, modules) {
			twin, err := s.Twin(id)
			if err == nil && !yield(twin) {
				return
			}
		}
	}
}

// idsAfter returns the sorted IDs of devices or of modules that are greater than after.
func (s *Store) idsAfter(after ID, modules bool) []ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []ID
	for id := range s.entries {
		if (id.Module != "") == modules && compareIDs(id, after) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

func compareIDs(a, b ID) int {
	return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Module, b.Module))
}

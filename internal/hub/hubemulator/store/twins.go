package store

import (
	"cmp"
	"iter"
	"slices"
)

// Twins yields the twins of all devices, or of all modules, whose ID comes
// after the one given; the zero ID is before all. They come by device, then by
// module. No lock is held between two of them: each is as it is when its turn
// comes, one that was deleted by then is left out, and one that was created
// meanwhile may be.
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

// idsAfter returns the IDs of devices or of modules after one, in order.
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

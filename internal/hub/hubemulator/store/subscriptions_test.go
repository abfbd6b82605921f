package store_test

import (
	"errors"
	"slices"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/store"
)

func openSession(tb testing.TB, s *store.Store, id store.ID, clean bool) (filters []string, present bool) {
	tb.Helper()
	filters, present, err := s.OpenSession(id, clean)
	if err != nil {
		tb.Fatal(err)
	}
	return filters, present
}

func TestSession_isResumed(t *testing.T) {
	s := newStore(t)
	if filters, present := openSession(t, s, module, false); present || len(filters) != 0 {
		t.Fatalf("the first session: %q, present %t", filters, present)
	}
	for _, filter := range []string{"b", "a", "c"} {
		s.SetSubscribed(module, filter, true)
	}
	s.SetSubscribed(module, "c", false)
	filters, present := openSession(t, s, module, false)
	if want := []string{"a", "b"}; !present || !slices.Equal(filters, want) {
		t.Errorf("got %q, present %t, want %q", filters, present, want)
	}
}

func TestSession_cleanDeletesSubscriptions(t *testing.T) {
	s := newStore(t)
	openSession(t, s, module, false)
	s.SetSubscribed(module, "a", true)
	if filters, present := openSession(t, s, module, true); present || len(filters) != 0 {
		t.Errorf("clean: %q, present %t", filters, present)
	}
	s.SetSubscribed(module, "b", true)
	if filters, present := openSession(t, s, module, false); present || len(filters) != 0 {
		t.Errorf("after a clean one: %q, present %t", filters, present)
	}
}

func TestSession_unknownIdentity(t *testing.T) {
	if _, _, err := store.New().OpenSession(store.ID{Device: "d"}, false); !errors.Is(err, store.ErrDeviceNotFound) {
		t.Errorf("got %v", err)
	}
}

package store_test

import (
	"errors"
	"slices"
	"testing"

	"rtsptunnel/internal/hubemulator/store"
)

func TestRevision_growsWithWhatMustBeKept(t *testing.T) {
	s := newStore(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	openSession(t, s, module, false)
	changes := map[string]func(){
		"a subscription":   func() { s.SetSubscribed(module, "a", true) },
		"its end":          func() { s.SetSubscribed(module, "a", false) },
		"a clean session":  func() { openSession(t, s, module, true) },
		"reported":         func() { must(s.PatchReported(module, parse(t, `{"a":1}`))) },
		"desired":          func() { must(s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":1}`)}, "*")) },
		"a model":          func() { must(0, s.SetModelID(module, "dtmi:a;1")) },
		"another identity": func() { must(s.Ensure(store.ID{Device: "d9"})) },
		"settings": func() {
			must(s.Update(store.ID{Device: "d9"}, store.Settings{Disabled: true}, "*"))
		},
		"a removal": func() {
			must(s.Delete(store.ID{Device: "d9"}, "*"))
		},
	}
	order := []string{
		"a subscription", "its end", "a clean session", "reported", "desired", "a model",
		"another identity", "settings", "a removal",
	}
	for _, name := range order {
		before := s.Revision()
		changes[name]()
		if s.Revision() <= before {
			t.Errorf("%s did not raise the revision", name)
		}
	}
	before := s.Revision()
	s.SetConnected(module, true)
	s.SetActive(module)
	must(0, s.SetModelID(module, "dtmi:a;1"))
	if s.Revision() != before {
		t.Error("what need not be kept raised the revision")
	}
}

// Devices must never see a version that a crash can take back.
func TestOnDesired_comesAfterTheChangeIsKept(t *testing.T) {
	s := newStore(t)
	var order []string
	s.OnDesired(func(store.DesiredPatch) { order = append(order, "told") })
	var kept int64
	s.KeepWith(func(revision int64) error {
		kept = revision
		order = append(order, "kept")
		return nil
	})
	if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":1}`)}, "*"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"kept", "told"}; !slices.Equal(order, want) || kept != s.Revision() {
		t.Errorf("got %q up to %d, want %q up to %d", order, kept, want, s.Revision())
	}
}

func TestKeep_passesTheErrorOn(t *testing.T) {
	s := store.New()
	if err := s.Keep(1); err != nil {
		t.Errorf("kept by nobody: %v", err)
	}
	full := errors.New("disk full")
	s.KeepWith(func(int64) error { return full })
	if err := s.Keep(1); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

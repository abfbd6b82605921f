package store_test

import (
	"errors"
	"slices"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/store"
)

func TestRevision_growsWithPersistentChanges(t *testing.T) {
	s := newStore(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	openSession(t, s, module, false)
	changes := map[string]func(){
		"a subscription":  func() { s.SetSubscribed(module, "a", true) },
		"unsubscribing":   func() { s.SetSubscribed(module, "a", false) },
		"a clean session": func() { openSession(t, s, module, true) },
		"reported": func() {
			_, revision, err := s.PatchReported(module, parse(t, `{"a":1}`))
			must(0, err)
			if revision != s.Revision() {
				t.Errorf("the change has revision %d, want %d", revision, s.Revision())
			}
		},
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
		"a subscription", "unsubscribing", "a clean session", "reported", "desired", "a model",
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
		t.Error("a change that is not persistent raised the revision")
	}
}

// Devices must never see a version that a crash can undo.
func TestOnDesired_afterChangeIsKept(t *testing.T) {
	s := newStore(t)
	var order []string
	s.OnDesired(func(store.DesiredPatch) { order = append(order, "observed") })
	var kept int64
	s.KeepWith(func(revision int64) error {
		kept = revision
		order = append(order, "kept")
		return nil
	})
	if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":1}`)}, "*"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"kept", "observed"}; !slices.Equal(order, want) || kept != s.Revision() {
		t.Errorf("got %q up to %d, want %q up to %d", order, kept, want, s.Revision())
	}
}

func TestKeep_returnsError(t *testing.T) {
	s := store.New()
	if err := s.Keep(1); err != nil {
		t.Errorf("without KeepWith: %v", err)
	}
	full := errors.New("disk full")
	s.KeepWith(func(int64) error { return full })
	if err := s.Keep(1); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

// gated is a store in which the test decides when each change is kept.
type gated struct {
	*store.Store
	asked chan int64              // revisions that Keep waits for
	kept  map[int64]chan struct{} // by revision
}

func newGated(t *testing.T, observe func(store.DesiredPatch)) *gated {
	t.Helper()
	g := &gated{Store: newStore(t), asked: make(chan int64), kept: make(map[int64]chan struct{})}
	for i := range int64(3) {
		g.kept[g.Revision()+1+i] = make(chan struct{})
	}
	g.OnDesired(observe)
	g.KeepWith(func(revision int64) error {
		g.asked <- revision
		<-g.kept[revision]
		return nil
	})
	return g
}

// update starts an update, which ends after the test closes keep. It then closes done.
func (g *gated) update(t *testing.T) (keep chan<- struct{}, done <-chan struct{}) {
	t.Helper()
	c := make(chan struct{})
	go func() {
		defer close(c)
		if _, err := g.UpdateTwin(module, store.TwinUpdate{Desired: store.Patch{}}, ""); err != nil {
			t.Error(err)
		}
	}()
	return g.kept[<-g.asked], c
}

// A caller waits until its own change is kept, not for later changes. The observer gets
// the changes in order, whichever is kept first.
func TestUpdateTwin_waitsForItsOwnChange(t *testing.T) {
	var observed []int64
	expect := func(want ...int64) {
		t.Helper()
		if !slices.Equal(observed, want) {
			t.Errorf("observed %d, want %d", observed, want)
		}
	}
	g := newGated(t, func(p store.DesiredPatch) { observed = append(observed, p.Version) })
	keepFirst, firstDone := g.update(t)
	keepSecond, secondDone := g.update(t)
	keepThird, thirdDone := g.update(t)
	close(keepFirst)
	<-firstDone
	expect(2)
	close(keepThird) // a kept revision includes the earlier ones
	<-thirdDone
	expect(2, 3, 4)
	close(keepSecond)
	<-secondDone
	expect(2, 3, 4)
}

// While one caller calls the observer, the others leave their changes to it.
func TestUpdateTwin_notifierPassesOnAllChanges(t *testing.T) {
	var observed []int64
	called, proceed := make(chan struct{}, 3), make(chan struct{})
	g := newGated(t, func(p store.DesiredPatch) {
		observed = append(observed, p.Version)
		called <- struct{}{}
		<-proceed
	})
	keepFirst, firstDone := g.update(t)
	keepSecond, secondDone := g.update(t)
	keepThird, thirdDone := g.update(t)
	close(keepFirst)
	<-called
	close(keepThird)
	<-thirdDone
	close(keepSecond)
	<-secondDone
	close(proceed)
	<-firstDone
	if want := []int64{2, 3, 4}; !slices.Equal(observed, want) {
		t.Errorf("observed %d, want %d", observed, want)
	}
}

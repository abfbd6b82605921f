package store_test

import (
	"errors"
	"slices"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/store"
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
		"a subscription":  func() { s.SetSubscribed(module, "a", true) },
		"its end":         func() { s.SetSubscribed(module, "a", false) },
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

// gated is a store whose changes are kept one by one, when the test says so.
type gated struct {
	*store.Store
	asked chan int64
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

// update begins an update that ends once what is returned is kept, and then
// closes done.
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

// Who has changed something waits for that to be kept, not for what others
// change meanwhile; and devices are told in order whichever is kept first.
func TestUpdateTwin_waitsForItsOwnChange(t *testing.T) {
	var told []int64
	expect := func(want ...int64) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("told of %d, want %d", told, want)
		}
	}
	g := newGated(t, func(p store.DesiredPatch) { told = append(told, p.Version) })
	keepFirst, firstDone := g.update(t)
	keepSecond, secondDone := g.update(t)
	keepThird, thirdDone := g.update(t)
	close(keepFirst)
	<-firstDone
	expect(2)
	close(keepThird) // and so the second is kept too
	<-thirdDone
	expect(2, 3, 4)
	close(keepSecond)
	<-secondDone
	expect(2, 3, 4)
}

// Who finds another one telling devices leaves the rest to it.
func TestUpdateTwin_tellsEverything(t *testing.T) {
	var told []int64
	telling, tell := make(chan struct{}, 3), make(chan struct{})
	g := newGated(t, func(p store.DesiredPatch) {
		told = append(told, p.Version)
		telling <- struct{}{}
		<-tell
	})
	keepFirst, firstDone := g.update(t)
	keepSecond, secondDone := g.update(t)
	keepThird, thirdDone := g.update(t)
	close(keepFirst)
	<-telling
	close(keepThird)
	<-thirdDone
	close(keepSecond)
	<-secondDone
	close(tell)
	<-firstDone
	if want := []int64{2, 3, 4}; !slices.Equal(told, want) {
		t.Errorf("told of %d, want %d", told, want)
	}
}

package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

func TestTwins_inOrder(t *testing.T) {
	s := store.New()
	d := func(device string) store.ID { return store.ID{Device: device} }
	m := func(device, module string) store.ID { return store.ID{Device: device, Module: module} }
	for _, id := range []store.ID{m("b", "z"), m("a", "y"), m("b", "a"), d("c"), d("A"), m("a-", "x")} {
		if _, err := s.Ensure(id); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		after   store.ID
		modules bool
		want    []store.ID
	}{
		{"devices", store.ID{}, false, []store.ID{d("A"), d("a"), d("a-"), d("b"), d("c")}},
		{"modules", store.ID{}, true, []store.ID{m("a", "y"), m("a-", "x"), m("b", "a"), m("b", "z")}},
		{"devices after one", d("a-"), false, []store.ID{d("b"), d("c")}},
		{"devices after one that does not exist", d("aa"), false, []store.ID{d("b"), d("c")}},
		{"modules after one", m("b", "a"), true, []store.ID{m("b", "z")}},
		{"after the last", d("c"), false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []store.ID
			for twin := range s.Twins(tt.after, tt.modules) {
				got = append(got, twin.Identity.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("IDs (-want +got):\n%s", diff)
			}
		})
	}
}

// The store may be used and changed between two twins.
func TestTwins_duringChanges(t *testing.T) {
	s := store.New()
	for _, name := range []string{"a", "b", "c", "d"} {
		if _, err := s.Ensure(store.ID{Device: name}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for twin := range s.Twins(store.ID{}, false) {
		id := twin.Identity.ID
		got = append(got, id.Device+twin.Identity.ModelID)
		if id.Device != "a" {
			break
		}
		if _, err := s.Delete(store.ID{Device: "b"}, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.SetModelID(store.ID{Device: "c"}, "+model"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a", "c+model"}, got); diff != "" {
		t.Errorf("twins (-want +got):\n%s", diff)
	}
}

package store_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

var module = store.ID{Device: "d1", Module: "m1"}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s := store.New()
	if _, err := s.Ensure(module); err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, text string) store.Patch {
	t.Helper()
	patch, err := store.ParsePatch([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEnsure_createsDeviceAndKeys(t *testing.T) {
	s := newStore(t)
	first, err := s.Identity(module)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Ensure(module)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("changed by a second Ensure (-first +second):\n%s", diff)
	}
	for _, key := range []string{first.PrimaryKey, first.SecondaryKey} {
		if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 32 {
			t.Errorf("key of %d bytes, error %v; want 32 bytes of base64", len(raw), err)
		}
	}
	device, err := s.Identity(store.ID{Device: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	if device.PrimaryKey == first.PrimaryKey || first.PrimaryKey == first.SecondaryKey || first.GenerationID == device.GenerationID {
		t.Error("two identities share a key or a generation id")
	}
}

func TestEnsure_invalidID(t *testing.T) {
	tests := map[string]store.ID{
		"empty":    {},
		"blank":    {Device: "a b"},
		"slash":    {Device: "d", Module: "a/b"},
		"too long": {Device: strings.Repeat("a", 129)},
		"umlaut":   {Device: "gerät"},
	}
	for name, id := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := store.New().Ensure(id); !errors.Is(err, store.ErrInvalidID) {
				t.Errorf("got %v, want %v", err, store.ErrInvalidID)
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	s := newStore(t)
	tests := map[store.ID]error{
		{Device: "d2"}:               store.ErrDeviceNotFound,
		{Device: "d2", Module: "m1"}: store.ErrDeviceNotFound,
		{Device: "d1", Module: "m2"}: store.ErrModuleNotFound,
		{Device: "D1", Module: "m1"}: store.ErrDeviceNotFound,
		{Device: "d1", Module: "M1"}: store.ErrModuleNotFound,
	}
	for id, want := range tests {
		_, identityErr := s.Identity(id)
		_, twinErr := s.Twin(id)
		_, desiredErr := s.UpdateTwin(id, store.TwinUpdate{Desired: store.Patch{}}, "*")
		_, _, reportedErr := s.PatchReported(id, store.Patch{})
		for _, err := range []error{identityErr, twinErr, desiredErr, reportedErr, s.SetModelID(id, "")} {
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", id, err, want)
			}
		}
	}
}

func TestPatch_merge(t *testing.T) {
	tests := []struct{ name, before, patch, want string }{
		{"adds", `{}`, `{"a":1}`, `{"$version":3,"a":1}`},
		{"replaces", `{"a":1}`, `{"a":"x"}`, `{"$version":3,"a":"x"}`},
		{"merges objects", `{"a":{"b":1,"c":2}}`, `{"a":{"c":3}}`, `{"$version":3,"a":{"b":1,"c":3}}`},
		{"null deletes", `{"a":{"b":1,"c":2}}`, `{"a":{"c":null}}`, `{"$version":3,"a":{"b":1}}`},
		{"null of nothing", `{}`, `{"a":null}`, `{"$version":3}`},
		{"nested null of nothing", `{}`, `{"a":{"b":null,"c":1}}`, `{"$version":3,"a":{"c":1}}`},
		{"object over value", `{"a":1}`, `{"a":{"b":1}}`, `{"$version":3,"a":{"b":1}}`},
		{"arrays are values", `{"a":[1,2]}`, `{"a":[3]}`, `{"$version":3,"a":[3]}`},
		{"large numbers stay", `{}`, `{"a":4503599627370495}`, `{"$version":3,"a":4503599627370495}`},
		{"hub members left out", `{}`, `{"$version":99,"$metadata":{"x":1}}`, `{"$version":3}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			for _, text := range []string{tt.before, tt.patch} {
				if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, text)}, ""); err != nil {
					t.Fatal(err)
				}
				if _, _, err := s.PatchReported(module, parse(t, text)); err != nil {
					t.Fatal(err)
				}
			}
			twin, err := s.Twin(module)
			if err != nil {
				t.Fatal(err)
			}
			if got := marshal(t, twin.Desired); got != tt.want {
				t.Errorf("desired = %s, want %s", got, tt.want)
			}
			if got := marshal(t, twin.Reported); got != tt.want {
				t.Errorf("reported = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTwin_isACopy(t *testing.T) {
	s := newStore(t)
	patch := parse(t, `{"a":{"b":[{"c":1}]}}`)
	if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: patch}, ""); err != nil {
		t.Fatal(err)
	}
	twin, err := s.Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []map[string]any{patch, twin.Desired.Properties} {
		object["a"].(map[string]any)["b"].([]any)[0].(map[string]any)["c"] = "changed"
	}
	twin, err = s.Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := marshal(t, twin.Desired), `{"$version":2,"a":{"b":[{"c":1}]}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUpdateTwin_ifMatch(t *testing.T) {
	s := newStore(t)
	before, err := s.Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PatchReported(module, parse(t, `{"r":1}`)); err != nil {
		t.Fatal(err)
	}
	after, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":1}`)}, before.ETag)
	if err != nil {
		t.Fatalf("a reported patch changed the etag: %v", err)
	}
	if after.ETag == before.ETag {
		t.Error("a change kept the etag")
	}
	if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":2}`)}, before.ETag); !errors.Is(err, store.ErrETag) {
		t.Errorf("got %v, want %v", err, store.ErrETag)
	}
	if _, err := s.UpdateTwin(module, store.TwinUpdate{}, after.ETag); err != nil {
		t.Fatal(err)
	}
	twin, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":3}`)}, "*")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := marshal(t, twin.Desired), `{"$version":3,"a":3}`; got != want {
		t.Errorf("got %s, want %s (neither the refused patch nor the nil one must count)", got, want)
	}
}

func TestSetModelID(t *testing.T) {
	s := newStore(t)
	if err := s.SetModelID(module, "dtmi:example:Thing;1"); err != nil {
		t.Fatal(err)
	}
	twin, err := s.Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := twin.Identity.ModelID, "dtmi:example:Thing;1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// With many writers and an observer that uses the store, the observer gets every change
// once, in version order.
func TestOnDesired_order(t *testing.T) {
	const writers, patches = 8, 50
	s := newStore(t)
	var running atomic.Int32
	var observed []int64 // owned by the observer, which never runs twice at once
	s.OnDesired(func(p store.DesiredPatch) {
		if running.Add(1) > 1 {
			t.Error("two observers at once")
		}
		defer running.Add(-1)
		runtime.Gosched()
		observed = append(observed, p.Version)
		if _, err := s.Twin(p.ID); err != nil {
			t.Error(err)
		}
	})
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range patches {
				if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: store.Patch{"a": 1}}, ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()

	if len(observed) != writers*patches {
		t.Fatalf("observed %d changes, want %d", len(observed), writers*patches)
	}
	for i, version := range observed {
		if want := int64(i + 2); version != want {
			t.Fatalf("change %d has version %d, want %d", i, version, want)
		}
	}
}

func TestOnDesired_patchAsSent(t *testing.T) {
	s := newStore(t)
	var got string
	s.OnDesired(func(p store.DesiredPatch) { got = marshal(t, p) })
	if _, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"a":null,"b":{"c":null},"$version":7}`)}, ""); err != nil {
		t.Fatal(err)
	}
	if want := `{"$version":2,"a":null,"b":{"c":null}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParsePatch(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"b":null},"c":[1,2.5e3]}`, `null`, `[]`, `{"a":1}{}`, `"x"`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		patch, err := store.ParsePatch(body)
		if err != nil {
			if !errors.Is(err, store.ErrPatch) {
				t.Errorf("got %v, want %v", err, store.ErrPatch)
			}
			return
		}
		s := store.New()
		if _, err := s.Ensure(module); err != nil {
			t.Fatal(err)
		}
		twin, err := s.UpdateTwin(module, store.TwinUpdate{Tags: patch, Desired: patch}, "")
		if err != nil {
			if !errors.Is(err, store.ErrLimit) {
				t.Errorf("got %v, want %v", err, store.ErrLimit)
			}
			return
		}
		marshal(t, twin.Desired.WithMetadata())
	})
}

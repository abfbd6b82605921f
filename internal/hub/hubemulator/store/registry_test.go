package store_test

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

var (
	device = store.ID{Device: "d1"}
	key16  = base64.StdEncoding.EncodeToString(make([]byte, 16))
)

func TestCreate_keysAndAuthentication(t *testing.T) {
	key64 := base64.StdEncoding.EncodeToString(make([]byte, 64))
	tests := []struct {
		name      string
		give      store.Authentication
		want      store.Authentication
		generated int
		err       error
	}{
		{"none", store.Authentication{}, store.Authentication{Type: "sas"}, 2, nil},
		{
			"given",
			store.Authentication{Type: "sas", PrimaryKey: key16, SecondaryKey: key64},
			store.Authentication{Type: "sas", PrimaryKey: key16, SecondaryKey: key64},
			0, nil,
		},
		{
			"thumbprints",
			store.Authentication{Type: "selfSigned", PrimaryKey: key16, PrimaryThumbprint: "AB", SecondaryThumbprint: "CD"},
			store.Authentication{Type: "selfSigned", PrimaryThumbprint: "AB", SecondaryThumbprint: "CD"},
			0, nil,
		},
		{"authority", store.Authentication{Type: "certificateAuthority", PrimaryKey: key16}, store.Authentication{Type: "certificateAuthority"}, 0, nil},
		{"not base64", store.Authentication{PrimaryKey: "!"}, store.Authentication{}, 0, store.ErrSettings},
		{"short key", store.Authentication{PrimaryKey: "AAAA"}, store.Authentication{}, 0, store.ErrSettings},
		{"long key", store.Authentication{PrimaryKey: base64.StdEncoding.EncodeToString(make([]byte, 65))}, store.Authentication{}, 0, store.ErrSettings},
		{"unknown type", store.Authentication{Type: "none"}, store.Authentication{}, 0, store.ErrSettings},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			identity, err := store.New().Create(device, store.Settings{Authentication: tt.give})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			got := identity.Authentication
			if tt.generated == 2 {
				if got.PrimaryKey == "" || got.PrimaryKey == got.SecondaryKey {
					t.Error("the store did not generate two different keys")
				}
				got.PrimaryKey, got.SecondaryKey = "", ""
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("authentication (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCreate_refused(t *testing.T) {
	s := newStore(t)
	for range 49 { // the device has one module already
		if _, err := s.Create(store.ID{Device: "d1", Module: "n" + strconv.Itoa(len(modules(t, s)))}, store.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[store.ID]error{
		device:                         store.ErrDeviceExists,
		module:                         store.ErrModuleExists,
		{Device: "d1", Module: "more"}: store.ErrTooManyModules,
		{Device: "d2", Module: "m1"}:   store.ErrDeviceNotFound,
		{Device: "a b"}:                store.ErrInvalidID,
	}
	for id, want := range tests {
		if _, err := s.Create(id, store.Settings{}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", id, err, want)
		}
	}
	long := store.Settings{StatusReason: strings.Repeat("x", 129)}
	if _, err := s.Create(store.ID{Device: "d3"}, long); !errors.Is(err, store.ErrSettings) {
		t.Errorf("got %v, want %v", err, store.ErrSettings)
	}
}

func modules(t *testing.T, s *store.Store) []store.Identity {
	t.Helper()
	list, err := s.Modules("d1")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		before, err := s.Identity(device)
		if err != nil {
			t.Fatal(err)
		}
		settings := store.Settings{
			Authentication: store.Authentication{PrimaryKey: key16},
			Disabled:       true, StatusReason: "lost", IoTEdge: true,
		}
		if _, err := s.Update(device, settings, "old"); !errors.Is(err, store.ErrETag) {
			t.Fatalf("got %v, want %v", err, store.ErrETag)
		}
		after, err := s.Update(device, settings, before.ETag)
		if err != nil {
			t.Fatal(err)
		}
		if after.ETag == before.ETag || after.GenerationID != before.GenerationID {
			t.Errorf("etag %s -> %s, generation %s -> %s", before.ETag, after.ETag, before.GenerationID, after.GenerationID)
		}
		if after.PrimaryKey != key16 || after.SecondaryKey == before.SecondaryKey {
			t.Error("the given key was not stored, or the empty one was not generated")
		}
		if want := "ms-azure-iot-edge://d1-" + before.GenerationID; after.DeviceScope != want {
			t.Errorf("device scope %q, want %q", after.DeviceScope, want)
		}
		if !before.StatusUpdated.IsZero() || !after.StatusUpdated.Equal(time.Now()) {
			t.Errorf("status changed at %v, then at %v", before.StatusUpdated, after.StatusUpdated)
		}
		for _, id := range []store.ID{device, module} {
			if _, err := s.Enabled(id); !errors.Is(err, store.ErrDisabled) {
				t.Errorf("%s: got %v, want %v", id, err, store.ErrDisabled)
			}
		}
		if _, err := s.Update(store.ID{Device: "d2"}, store.Settings{}, "*"); !errors.Is(err, store.ErrDeviceNotFound) {
			t.Errorf("got %v, want %v", err, store.ErrDeviceNotFound)
		}
	})
}

func TestDelete(t *testing.T) {
	s := newStore(t)
	if _, err := s.Ensure(store.ID{Device: "d10", Module: "m1"}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Identity(device)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(device, "old"); !errors.Is(err, store.ErrETag) {
		t.Errorf("got %v, want %v", err, store.ErrETag)
	}
	gone, err := s.Delete(device, before.ETag)
	if err != nil || len(gone) != 2 {
		t.Errorf("gone %v, error %v; want the device and its module", gone, err)
	}
	if _, err := s.Delete(module, ""); !errors.Is(err, store.ErrDeviceNotFound) {
		t.Errorf("got %v, want %v", err, store.ErrDeviceNotFound)
	}
	var names []string
	for _, identity := range s.Devices() {
		names = append(names, identity.ID.String())
	}
	if diff := cmp.Diff([]string{"d10"}, names); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	again, err := s.Create(device, store.Settings{})
	if err != nil || again.GenerationID == before.GenerationID || again.ETag == before.ETag {
		t.Errorf("a new device of the same name has the old one's generation or etag, or error %v", err)
	}
}

func TestSetConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t)
		connected := time.Now()
		s.SetConnected(module, true)
		<-time.After(time.Second)
		s.SetActive(module)
		s.SetConnected(module, true) // connected already, so not a change
		got, err := s.Identity(module)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Connected || !got.ConnectionUpdated.Equal(connected) || !got.LastActivity.Equal(connected.Add(time.Second)) {
			t.Errorf("got %v since %v, active %v", got.Connected, got.ConnectionUpdated, got.LastActivity)
		}
		s.SetConnected(module, false)
		if got, err = s.Identity(module); err != nil || got.Connected || !got.ConnectionUpdated.Equal(time.Now()) {
			t.Errorf("got %v since %v, error %v", got.Connected, got.ConnectionUpdated, err)
		}
		// Nothing is stored for identities that do not exist.
		s.SetConnected(store.ID{Device: "d2"}, true)
		s.SetActive(store.ID{Device: "d2"})
		if n := len(s.Devices()); n != 1 {
			t.Errorf("%d devices, want 1", n)
		}
	})
}

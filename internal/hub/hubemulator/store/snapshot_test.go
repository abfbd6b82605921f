package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// snapshot returns the document of a store, and checks the result of WriteTo.
func snapshot(tb testing.TB, s *store.Store) string {
	tb.Helper()
	_, document, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	var text strings.Builder
	if n, err := document.WriteTo(&text); err != nil || n != int64(text.Len()) {
		tb.Fatalf("%d bytes, %v; want %d", n, err, text.Len())
	}
	return text.String()
}

func reload(tb testing.TB, s *store.Store) *store.Store {
	tb.Helper()
	again, err := store.Load([]byte(snapshot(tb, s)))
	if err != nil {
		tb.Fatal(err)
	}
	return again
}

// fill gives a store every kind of content.
func fill(tb testing.TB, s *store.Store) {
	tb.Helper()
	must := func(_ any, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	patch := func(text string) store.Patch {
		p, err := store.ParsePatch([]byte(text))
		must(p, err)
		return p
	}
	must(s.Ensure(module))
	must(s.Create(store.ID{Device: "edge"}, store.Settings{IoTEdge: true, StatusReason: "why <not>"}))
	must(s.Update(store.ID{Device: "edge"}, store.Settings{IoTEdge: true, Disabled: true, StatusReason: "ünlucky"}, "*"))
	must(s.Create(store.ID{Device: "edge", Module: "m"}, store.Settings{ManagedBy: "iotEdge"}))
	thumbprints := store.Authentication{Type: store.AuthSelfSigned, PrimaryThumbprint: "AB", SecondaryThumbprint: "CD"}
	must(s.CreateConfiguration(store.Configuration{
		ID: "c1", SchemaVersion: "1.0", Content: []byte(`{"modulesContent":{"$edgeAgent":{},"n":1.50}}`), TargetCondition: "*", Priority: 3,
		Labels: map[string]string{"l": "<v>"}, Metrics: map[string]string{"q": "SELECT * FROM devices"},
	}))
	must(s.CreateConfiguration(store.Configuration{ID: "gone", Content: []byte(`{}`)}))
	must(0, s.DeleteConfiguration("gone", ""))
	must(s.Deploy("edge", store.Deployment{Statuses: map[string]map[string]string{"m": {"c1": "Targeted"}}}))
	must(s.Create(store.ID{Device: "x509"}, store.Settings{Authentication: thumbprints}))
	must(s.Create(store.ID{Device: "ca"}, store.Settings{Authentication: store.Authentication{Type: store.AuthAuthority}}))
	must(s.Create(store.ID{Device: "gone"}, store.Settings{}))
	must(s.Delete(store.ID{Device: "gone"}, "*"))

	must(s.UpdateTwin(module, store.TwinUpdate{
		Tags:    patch(`{"t":{"n":[1,null,"x",{"y":true}]}}`),
		Desired: patch(`{"big":4503599627370495,"float":1.50e2,"zero":-0.0,"gone":1,"o":{"p":{"q":""}}}`),
	}, ""))
	must(s.UpdateTwin(module, store.TwinUpdate{Desired: patch(`{"gone":null,"o":{"r":"<>&\u2028\"\\"}}`)}, ""))
	must(s.UpdateTwin(device, store.TwinUpdate{Desired: patch(`{"a":1}`), Replace: true}, ""))
	_, _, err := s.PatchReported(module, patch(`{"r":[[]],"e":{}}`))
	must(0, err)
	must(0, s.SetModelID(module, "dtmi:a;1"))

	openSession(tb, s, module, false)
	s.SetSubscribed(module, "b/#", true)
	s.SetSubscribed(module, "a", true)
	openSession(tb, s, store.ID{Device: "ca"}, false) // a session without subscriptions
	s.SetConnected(module, true)
	s.SetActive(device)
}

// all returns all identities and their twins.
func all(tb testing.TB, s *store.Store) (identities []store.Identity, twins []store.Twin) {
	tb.Helper()
	identities = s.Devices()
	for _, d := range identities {
		list, err := s.Modules(d.ID.Device)
		if err != nil {
			tb.Fatal(err)
		}
		identities = append(identities, list...)
	}
	for i := range identities {
		twin, err := s.Twin(identities[i].ID)
		if err != nil {
			tb.Fatal(err)
		}
		twins = append(twins, twin)
	}
	return identities, twins
}

func TestSnapshot_roundTrip(t *testing.T) {
	s := store.New()
	fill(t, s)
	again := reload(t, s)
	identities, twins := all(t, s)
	gotIdentities, gotTwins := all(t, again)
	for i := range identities { // no identity is connected after Load
		for _, identity := range []*store.Identity{&identities[i], &twins[i].Identity} {
			identity.Connected, identity.Revision = false, 0
		}
	}
	if diff := cmp.Diff(identities, gotIdentities); diff != "" {
		t.Errorf("identities (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(twins, gotTwins); diff != "" {
		t.Errorf("twins (-before +after):\n%s", diff)
	}
	for i := range twins {
		for _, section := range [][2]store.Section{{twins[i].Desired, gotTwins[i].Desired}, {twins[i].Reported, gotTwins[i].Reported}} {
			if before, after := marshal(t, section[0].WithMetadata()), marshal(t, section[1].WithMetadata()); before != after {
				t.Errorf("section\n%s became\n%s", before, after)
			}
		}
	}
	if before, after := snapshot(t, s), snapshot(t, again); before != after {
		t.Errorf("the document\n%s became\n%s", before, after)
	}
}

// A new member of Identity must be set in fill, so that the test above covers it, or must
// not be persistent.
func TestSnapshot_coversEveryMember(t *testing.T) {
	s := store.New()
	fill(t, s)
	identities, _ := all(t, s)
	var visit func(typ reflect.Type, index []int)
	visit = func(typ reflect.Type, index []int) {
		for i := range typ.NumField() {
			field, at := typ.Field(i), append(slices.Clip(index), i)
			if field.Anonymous {
				visit(field.Type, at)
				continue
			}
			set := false
			for _, identity := range identities {
				set = set || !reflect.ValueOf(identity).FieldByIndex(at).IsZero()
			}
			if !set {
				t.Errorf("no identity of the test has %s", field.Name)
			}
			if field.Tag.Get("json") == "" {
				t.Errorf("%s has no name in the document", field.Name)
			}
		}
	}
	visit(reflect.TypeFor[store.Identity](), nil)
}

// Etags, versions, revisions and sessions continue after Load.
func TestLoad_continues(t *testing.T) {
	s := store.New()
	fill(t, s)
	again := reload(t, s)
	if got, want := again.Revision(), s.Revision(); got != want || got == 0 {
		t.Errorf("revision %d, want %d", got, want)
	}
	var etags [2][]string
	for i, s := range []*store.Store{s, again} {
		created, err := s.Create(store.ID{Device: "new"}, store.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		twin, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, `{"new":1}`)}, "")
		if err != nil {
			t.Fatal(err)
		}
		metadata := twin.Desired.Metadata["new"].(map[string]any)["$lastUpdatedVersion"]
		etags[i] = []string{created.ETag, twin.ETag, fmt.Sprint(twin.Version, twin.Desired.Version, metadata)}
	}
	if diff := cmp.Diff(etags[0], etags[1]); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	if filters, present := openSession(t, again, module, false); !present || fmt.Sprint(filters) != "[a b/#]" {
		t.Errorf("session present %t, %q", present, filters)
	}
	if filters, present := openSession(t, again, store.ID{Device: "ca"}, false); !present || len(filters) > 0 {
		t.Errorf("session without subscriptions: present %t, %q", present, filters)
	}
	if _, present := openSession(t, again, device, false); present {
		t.Error("an identity without a session has one after Load")
	}
}

// Unchanged entries are not encoded again, changed ones are.
func TestSnapshot_isCurrent(t *testing.T) {
	s := store.New()
	fill(t, s)
	steps := map[string]func() error{
		"reported": func() error { _, _, err := s.PatchReported(device, parse(t, `{"now":1}`)); return err },
		"desired": func() error {
			_, err := s.UpdateTwin(device, store.TwinUpdate{Desired: parse(t, `{"now":1}`)}, "")
			return err
		},
		"settings":   func() error { _, err := s.Update(device, store.Settings{Disabled: true}, ""); return err },
		"model":      func() error { return s.SetModelID(device, "m") },
		"session":    func() error { _, _, err := s.OpenSession(device, false); return err },
		"subscribed": func() error { s.SetSubscribed(module, "c", true); return nil },
		"connected":  func() error { s.SetConnected(device, true); return nil },
		"active":     func() error { s.SetActive(device); return nil },
		"created":    func() error { _, err := s.Create(store.ID{Device: "new"}, store.Settings{}); return err },
		"deleted":    func() error { _, err := s.Delete(store.ID{Device: "ca"}, ""); return err },
	}
	for name, step := range steps {
		before := snapshot(t, s)
		if err := step(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		identities, twins := all(t, s)
		gotIdentities, gotTwins := all(t, reload(t, s))
		for i := range identities {
			for _, identity := range []*store.Identity{&identities[i], &twins[i].Identity} {
				identity.Connected, identity.Revision = false, 0
			}
		}
		if diff := cmp.Diff(identities, gotIdentities) + cmp.Diff(twins, gotTwins); diff != "" {
			t.Errorf("after %s (-store +document):\n%s", name, diff)
		}
		if snapshot(t, s) == before {
			t.Errorf("%s did not change the document", name)
		}
	}
}

func TestSnapshot_duringChanges(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, _, err := s.PatchReported(module, store.Patch{"a": "b"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		revision, _, err := s.Snapshot()
		if err != nil || revision > s.Revision() {
			t.Fatalf("revision %d, %v", revision, err)
		}
		reload(t, s)
	}
	wg.Wait()
}

func TestSnapshot_valueNotInJSON(t *testing.T) {
	s := newStore(t)
	if _, _, err := s.PatchReported(module, store.Patch{"f": func() {}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Snapshot(); err == nil || !strings.Contains(err.Error(), "d1/m1") {
		t.Errorf("error %v, want one that names the identity", err)
	}
}

func TestLoad_refused(t *testing.T) {
	s := store.New()
	fill(t, s)
	good := snapshot(t, s)
	key, err := s.Identity(module)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, text string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in %s", old, good)
		}
		return strings.Replace(good, old, text, 1)
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "unexpected end"},
		{"cut", good[:len(good)/2], "unexpected end"},
		{"trailing data", good + "{}", "after top-level value"},
		{"not an object", `[]`, "array"},
		{"null", `null`, "format 0"},
		{"newer", replace(`"format":2`, `"format":3`), "it has format 3"},
		{"no format", replace(`"format":2,`, ``), "format 0"},
		{"no identities", `{"format":1,"revision":1,"writes":1}`, "identities"},
		{"negative", replace(`"revision":`, `"revision":-`), "negative"},
		{"unknown member", replace(`"format":2`, `"format":2,"later":1`), `"later"`},
		{"unknown member of a configuration", replace(`"schemaVersion":`, `"later":1,"schemaVersion":`), "configuration 1"},
		{"configuration's id", replace(`"id":"c1"`, `"id":"C1"`), `configuration 1, "C1"`},
		{"unknown member within", replace(`"updates":`, `"later":1,"updates":`), `"later"`},
		{"entry of another type", replace(`"identity":{`, `"identity":1,"x":{`), "identity 1:"},
		{"null entry", `{"format":1,"revision":1,"writes":1,"identities":[null]}`, "identity 1"},
		{"id", replace(`"device":"ca"`, `"device":"c a"`), `"c a"`},
		{"duplicate", replace(`"device":"ca"`, `"device":"edge"`), `"edge": duplicate`},
		{"module without device", replace(`"device":"d1"}`, `"device":"d2"}`), `"d1/m1": its device is missing`},
		{"key", replace(key.PrimaryKey, "!"+key.PrimaryKey), "d1/m1\": invalid settings: a key is not base64"},
		{"no key", replace(key.PrimaryKey, ""), "d1/m1\": settings are incomplete"},
		{"authentication", replace(`"authentication":"sas"`, `"authentication":"what"`), "authentication type"},
		{"no generation", replace(key.GenerationID, ""), "generationId"},
		{"time", replace(`"lastActivity":"0001`, `"lastActivity":"1`), "time"},
		{"no tags", replace(`"tags":{}`, `"tags":null`), "tags"},
		{"no version", replace(`"version":1,"properties"`, `"properties"`), "version"},
		{"no properties", replace(`"properties":{}`, `"properties":null`), "properties"},
		{"no metadata", replace(`"members":{"big"`, `"members":{"x":null,"big"`), "metadata"},
		{"counter at its maximum", replace(`"version":1,"properties"`, `"version":9223372036854775807,"properties"`), "version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.text == good {
				t.Fatal("the case does not change the document")
			}
			_, err := store.Load([]byte(tt.text))
			if !errors.Is(err, store.ErrDocument) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), key.PrimaryKey) {
				t.Errorf("%q shows a key", err)
			}
		})
	}
}

// formatOne is a document of format 1. Load must always be able to read it.
const formatOne = `{"format":1,"revision":7,"writes":2,"identities":[
{"identity":{"id":{"device":"d1"},"authentication":"sas","primaryKey":"AAAAAAAAAAAAAAAAAAAAAA==","secondaryKey":"AAAAAAAAAAAAAAAAAAAAAA==",` +
	`"primaryThumbprint":"","secondaryThumbprint":"","disabled":false,"statusReason":"","iotEdge":false,"deviceScope":"","managedBy":"",` +
	`"generationId":"123456789012345678","etag":"MTAwMDAwMDAx","modelId":"","statusUpdated":"0001-01-01T00:00:00Z",` +
	`"connectionUpdated":"0001-01-01T00:00:00Z","lastActivity":"0001-01-01T00:00:00Z"},"tags":{},` +
	`"desired":{"version":2,"properties":{"a":1.0},"metadata":{"updated":"2025-10-01T00:00:00.1234567Z","version":2,` +
	`"members":{"a":{"updated":"2025-10-01T00:00:00Z","version":2}}}},` +
	`"reported":{"version":1,"properties":{},"metadata":{"updated":"2025-10-01T00:00:00Z"}},"updates":2,"version":2,"subscriptions":["a"]},
{"identity":{"id":{"device":"d1","module":"m1"},"authentication":"selfSigned","primaryKey":"","secondaryKey":"",` +
	`"primaryThumbprint":"AB","secondaryThumbprint":"","disabled":false,"statusReason":"","iotEdge":false,"deviceScope":"","managedBy":"",` +
	`"generationId":"123456789012345679","etag":"MTAwMDAwMDAy","modelId":"dtmi:a;1","statusUpdated":"0001-01-01T00:00:00Z",` +
	`"connectionUpdated":"0001-01-01T00:00:00Z","lastActivity":"0001-01-01T00:00:00Z"},"tags":{},` +
	`"desired":{"version":1,"properties":{},"metadata":{"updated":"2025-10-01T00:00:00Z"}},` +
	`"reported":{"version":1,"properties":{},"metadata":{"updated":"2025-10-01T00:00:00Z"}},"updates":1,"version":1,"subscriptions":null}
]}
`

func TestLoad_formatOne(t *testing.T) {
	s, err := store.Load([]byte(formatOne))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.TrimSuffix(formatOne, "]}\n"), `"format":1`, `"format":2`, 1) + "],\"configurations\":[\n]}\n"
	if got := snapshot(t, s); got != want {
		t.Errorf("the document\n%s became\n%s, not\n%s", formatOne, got, want)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(formatOne))
	f.Add([]byte(`{"format":1,"revision":0,"writes":0,"identities":[]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":2,"revision":1,"writes":0,"identities":[],"configurations":[` +
		`{"id":"c","schemaVersion":"1.0","content":{},"targetCondition":"*","priority":1,"labels":null,"metrics":null,` +
		`"created":"2025-10-01T00:00:00Z","updated":"2025-10-01T00:00:00Z","updates":1}]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(``))
	f.Add([]byte(strings.Replace(formatOne, `"members":{"a":{"updated":"2025-10-01T00:00:00Z","version":2}}`, `"members":{"a":null}`, 1)))
	f.Add([]byte(strings.Replace(formatOne, `"device":"d1"}`, `"device":"d2"}`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := store.Load(text)
		if err != nil {
			if !errors.Is(err, store.ErrDocument) {
				t.Errorf("got %v, want %v", err, store.ErrDocument)
			}
			return
		}
		identities, twins := all(t, s)
		for i, twin := range twins {
			marshal(t, twin.Desired.WithMetadata())
			if _, err := s.Enabled(identities[i].ID); err != nil && !errors.Is(err, store.ErrDisabled) {
				t.Error(err)
			}
			if _, err := s.UpdateTwin(identities[i].ID, store.TwinUpdate{Desired: store.Patch{"a": map[string]any{"b": "c"}}}, ""); err != nil && !errors.Is(err, store.ErrLimit) {
				t.Error(err)
			}
		}
		reload(t, s)
	})
}

package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// nested returns an object with this many levels below the section.
func nested(levels int) string {
	return strings.Repeat(`{"o":`, levels) + `{"p":1}` + strings.Repeat("}", levels)
}

func TestLimits(t *testing.T) {
	many := func(members, size int) string {
		var list []string
		for i := range members {
			list = append(list, fmt.Sprintf(`"%04d":"%s"`, i, strings.Repeat("x", size-4)))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	tests := []struct {
		name, patch string
		ok          bool
	}{
		{"10 levels", nested(10), true},
		{"11 levels", nested(11), false},
		{"arrays count as levels", `{"a":` + strings.Repeat("[", 11) + strings.Repeat("]", 11) + `}`, false},
		{"array", `{"a":[1,"x",true,{"b":2}]}`, true},
		{"limits hold in arrays", `{"a":[{"b.c":2}]}`, false},
		{"key of 1 KB", `{"` + strings.Repeat("k", 1024) + `":1}`, true},
		{"longer key", `{"` + strings.Repeat("k", 1025) + `":1}`, false},
		{"key with a dot", `{"a.b":1}`, false},
		{"key with a blank", `{"a b":1}`, false},
		{"key with a number sign", `{"a#b":1}`, false},
		{"key with a dollar", `{"a":{"$b":1}}`, false},
		{"key with C0", `{"a\u0001":1}`, false},
		{"key with C1", `{"a\u0085":1}`, false},
		{"key to delete with a dot", `{"a.b":null}`, false},
		{"key with letters that are not ASCII", `{"größe/µ-_\u4e16":1}`, true},
		{"text of 4 KB", `{"a":"` + strings.Repeat("x", 4096) + `"}`, true},
		{"longer text", `{"a":"` + strings.Repeat("x", 4097) + `"}`, false},
		{"largest integer", `{"a":4503599627370495}`, true},
		{"larger integer", `{"a":4503599627370496}`, false},
		{"smallest integer", `{"a":-4503599627370496}`, true},
		{"smaller integer", `{"a":-4503599627370497}`, false},
		{"integer beyond 64 bits", `{"a":123456789012345678901234567890}`, false},
		{"large float", `{"a":1.5e300}`, true},
		{"infinite float", `{"a":1e999}`, false},
		{"32 KB", many(32, 1024), true},
		{"more than 32 KB", many(33, 1024), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			_, desired := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, tt.patch)}, "")
			_, replaced := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, tt.patch), Replace: true}, "")
			_, _, reported := s.PatchReported(module, parse(t, tt.patch))
			for _, err := range []error{desired, replaced, reported} {
				if tt.ok && err != nil || !tt.ok && !errors.Is(err, store.ErrLimit) {
					t.Errorf("got %v, want ok %v", err, tt.ok)
				}
			}
			twin, err := s.Twin(module)
			if err != nil {
				t.Fatal(err)
			}
			if changed := twin.Version > 1 || len(twin.Desired.Properties) > 0 || twin.ETag != "AAAAAAAAAAE="; changed != tt.ok {
				t.Errorf("changed %v, want %v", changed, tt.ok)
			}
		})
	}
}

// Numbers count 8 bytes, booleans 4, and the limit applies to the result of a merge.
func TestLimits_sizeOfTags(t *testing.T) {
	s := newStore(t)
	tags := func(text string) error {
		_, err := s.UpdateTwin(module, store.TwinUpdate{Tags: parse(t, text)}, "")
		return err
	}
	half := strings.Repeat("x", 4096-1)
	if err := tags(`{"a":"` + half + `","b":"` + half[16:] + `"}`); err != nil { // 16 bytes less than 8 KB
		t.Fatal(err)
	}
	if err := tags(`{"c":123456789,"d":true,"e":false}`); !errors.Is(err, store.ErrLimit) { // 19 bytes
		t.Errorf("got %v, want %v", err, store.ErrLimit)
	}
	if err := tags(`{"c":123456789,"d":true,"e":null}`); err != nil { // 14 bytes
		t.Error(err)
	}
	// A refused update changes nothing, not even its valid part.
	_, err := s.UpdateTwin(module, store.TwinUpdate{Tags: parse(t, `{"a":null}`), Desired: parse(t, `{"a.b":1}`)}, "")
	twin, _ := s.Twin(module)
	if !errors.Is(err, store.ErrLimit) || twin.Tags["a"] == nil {
		t.Errorf("error %v, tag a is there: %v", err, twin.Tags["a"] != nil)
	}
}

func TestMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = "2000-01-01T00:00:0" // of synctest's clock
		s := newStore(t)
		updates := []struct {
			desired string
			replace bool
			want    string
		}{
			{`{"a":1,"o":{"x":1,"y":2}}`, false, `{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2,` +
				`"a":{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2},"o":{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2,` +
				`"x":{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2},"y":{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2}}}`},
			{`{"a":null,"o":{"x":3}}`, false, `{"$lastUpdated":"` + day + `2Z","$lastUpdatedVersion":3,` +
				`"o":{"$lastUpdated":"` + day + `2Z","$lastUpdatedVersion":3,` +
				`"x":{"$lastUpdated":"` + day + `2Z","$lastUpdatedVersion":3},"y":{"$lastUpdated":"` + day + `1Z","$lastUpdatedVersion":2}}}`},
			{`{"o":5}`, false, `{"$lastUpdated":"` + day + `3Z","$lastUpdatedVersion":4,"o":{"$lastUpdated":"` + day + `3Z","$lastUpdatedVersion":4}}`},
			{`{"z":1}`, true, `{"$lastUpdated":"` + day + `4Z","$lastUpdatedVersion":5,"z":{"$lastUpdated":"` + day + `4Z","$lastUpdatedVersion":5}}`},
		}
		for _, u := range updates {
			<-time.After(time.Second)
			twin, err := s.UpdateTwin(module, store.TwinUpdate{Desired: parse(t, u.desired), Replace: u.replace}, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := marshal(t, twin.Desired.Metadata); got != u.want {
				t.Errorf("after %s\n got %s\nwant %s", u.desired, got, u.want)
			}
			if got, want := marshal(t, twin.Reported.Metadata), `{"$lastUpdated":"`+day+`0Z"}`; got != want {
				t.Errorf("reported: got %s, want %s", got, want)
			}
		}
	})
}

func TestUpdateTwin_replaceDeliversCompleteSection(t *testing.T) {
	s := newStore(t)
	var got []string
	s.OnDesired(func(p store.DesiredPatch) { got = append(got, marshal(t, p)) })
	for _, u := range []store.TwinUpdate{
		{Desired: parse(t, `{"a":1,"b":2}`)},
		{Desired: parse(t, `{"b":3,"c":null}`), Replace: true},
		{Tags: parse(t, `{"t":1}`), Replace: true}, // devices do not get tags
	} {
		if _, err := s.UpdateTwin(module, u, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := strings.Join(got, " "), `{"$version":2,"a":1,"b":2} {"$version":3,"b":3}`; got != want {
		t.Errorf("delivered %s, want %s", got, want)
	}
}

// A program that prints a twin must not print keys.
func TestTwin_hasNoKeys(t *testing.T) {
	twin, err := newStore(t).Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	if twin.Identity.PrimaryKey != "" || twin.Identity.SecondaryKey != "" {
		t.Error("the twin contains keys")
	}
}

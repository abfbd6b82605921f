package manifest_test

import (
	"strings"
	"testing"

	"rtsptunnel/internal/hubemulator/store"
	"rtsptunnel/internal/manifest"
)

// The hub emulator has the rules of twins and of layers a second time; here each
// judges the other.

func TestValidate_asTheHub(t *testing.T) {
	nested := func(levels int, inner string) string {
		return strings.Repeat(`{"o":`, levels) + inner + strings.Repeat("}", levels)
	}
	for value, good := range map[string]bool{
		`{"n": 4503599627370495}`:                            true,
		`{"n": 4503599627370496}`:                            false,
		`{"n": -4503599627370496}`:                           true,
		`{"n": [-4503599627370497]}`:                         false,
		`{"n": 1.5e300}`:                                     true,
		`{"n": 1e999}`:                                       false,
		`{"n": 1e-999}`:                                      true,
		nested(11, "1"):                                      true,
		nested(11, "{}"):                                     false,
		nested(10, "[1]"):                                    true,
		nested(11, "[1]"):                                    false,
		`{"` + strings.Repeat("n", 1024) + `": 1}`:           true,
		`{"` + strings.Repeat("n", 1025) + `": 1}`:           false,
		`{"s": "` + strings.Repeat("s", 4096) + `"}`:         true,
		`{"s": "` + strings.Repeat("s", 4097) + `"}`:         false,
		`{"a": {"b": {"a.b": 1}}}`:                           false,
		`{"a": [{"$b": 1}]}`:                                 false,
		`{"": 1, "é": null, "a": [null, [], {}], "t": true}`: true,
	} {
		hub := store.New()
		if _, err := hub.Create(store.ID{Device: "d"}, store.Settings{}); err != nil {
			t.Fatal(err)
		}
		patch, err := store.ParsePatch([]byte(value))
		if err != nil {
			t.Fatal(err)
		}
		_, refused := hub.UpdateTwin(store.ID{Device: "d"}, store.TwinUpdate{Desired: patch}, "")
		m := parse(t, "x", `{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired": `+value+`}}}`)
		wrong := manifest.Validate(m, manifest.Options{}).Err()
		if (refused == nil) != good || (wrong == nil) != good {
			t.Errorf("%.60s: the hub says %v, Validate %v", value, refused, wrong)
		}
	}
}

// A part deep down is as deep as it would be in the whole.
func TestValidate_deepPart(t *testing.T) {
	for name, good := range map[string]bool{
		strings.Repeat(".o", 11) + `": 1`:   true,
		strings.Repeat(".o", 10) + `": {}`:  true,
		strings.Repeat(".o", 11) + `": {}`:  false,
		strings.Repeat(".o", 11) + `": [1]`: false,
		strings.Repeat(".o", 12) + `": 1`:   false,
	} {
		m := parse(t, "x", `{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired`+name+`}}}`)
		if err := manifest.Validate(m, manifest.Options{}).Err(); (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

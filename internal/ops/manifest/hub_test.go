package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/ops/manifest"
)

// The hub emulator implements the rules of twins and of layers a second time. These tests
// compare the two implementations.

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
		`{"line#1": 1}`:                                      false,
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

// The depth of a part counts from the desired properties, not from the part.
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

// generator creates random contents of deployments.
type generator struct{ *rand.Rand }

func (g generator) name() string { return string(rune('a' + g.IntN(3))) }

func (g generator) object(depth int) map[string]any {
	object := map[string]any{}
	for range g.IntN(4) {
		object[g.name()] = g.value(depth - 1)
	}
	return object
}

func (g generator) value(depth int) any {
	switch n := g.IntN(8); {
	case n < 4 && depth > 0:
		return g.object(depth)
	case n == 4 && depth > 0:
		return []any{nil, g.object(depth - 1), g.IntN(9)}
	case n == 5:
		return nil
	case n == 6:
		return json.Number("1.50")
	}
	return g.IntN(9)
}

// parts returns a layer's section for one module.
func (g generator) parts() map[string]any {
	if g.IntN(5) == 0 {
		return map[string]any{"properties.desired": g.object(3)}
	}
	section := map[string]any{}
	for range g.IntN(4) {
		section["properties.desired"+g.path()] = g.value(2)
	}
	return section
}

func (g generator) path() string {
	path := ""
	for range 1 + g.IntN(3) {
		path += "." + g.name()
	}
	return path
}

func (g generator) base() map[string]any {
	whole := func() any { return map[string]any{"properties.desired": g.object(4)} }
	return map[string]any{"$edgeAgent": whole(), "$edgeHub": whole(), "x": whole()}
}

func (g generator) layer() map[string]any {
	layer := map[string]any{"$edgeAgent": map[string]any{"properties.desired.modules." + g.name(): g.value(2)}}
	for _, module := range []string{"x", "y"} {
		if g.IntN(3) > 0 {
			layer[module] = g.parts()
		}
	}
	return layer
}

// Merge and the hub emulator, which share no code, give the same result for any
// deployments, unless Merge reports that they do not fit together.
func TestMerge_asTheHub(t *testing.T) {
	merged := 0
	for seed := range uint64(2000) {
		g := generator{rand.New(rand.NewPCG(seed, 0))}
		var ours []manifest.Deployment
		var theirs []deployment.Deployment
		add := func(content map[string]any, priority int) {
			text := marshal(t, content)
			c, err := deployment.Parse(text)
			if err != nil {
				t.Fatalf("seed %d: %v: %s", seed, err, text)
			}
			theirs = append(theirs, deployment.Deployment{ID: fmt.Sprint(priority), Priority: priority, Created: time.Unix(int64(priority), 0), Content: c})
			m := parse(t, fmt.Sprint(priority), `{"modulesContent": `+string(text)+`}`)
			ours = append(ours, withPriority(manifest.Deployment{Manifest: m}, priority))
		}
		add(g.base(), 1)
		for i := range g.IntN(5) {
			add(g.layer(), 10+i)
		}
		g.Shuffle(len(ours)-1, func(i, j int) { ours[i+1], ours[j+1] = ours[j+1], ours[i+1] })
		g.Shuffle(len(theirs), func(i, j int) { theirs[i], theirs[j] = theirs[j], theirs[i] })
		result, problems := manifest.Merge(ours[0], ours[1:]...)
		if problems.Err() != nil {
			continue // a path leads through a value that is not an object
		}
		merged++
		got := map[string]any{}
		for module := range decode(t, result.Manifest.Content())["modulesContent"].(map[string]any) {
			got[module] = any(decode(t, result.Manifest.Desired(module)))
		}
		want := decode(t, marshal(t, deployment.Merge(theirs).Desired))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-hub +merge):\n%s", seed, diff)
		}
	}
	if merged < 500 {
		t.Errorf("only %d of 2000 fit together, too few for a comparison", merged)
	}
}

func marshal(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decode keeps the notation of numbers.
func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

package twin_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/twin"
)

// digest returns the twin in place of doc, which arrives in pieces of this size.
func digest(doc string, piece int) string {
	d := twin.NewDigest()
	for len(doc) > 0 {
		n := min(piece, len(doc))
		_, _ = d.Write([]byte(doc[:n]))
		doc = doc[n:]
	}
	return string(d.Document())
}

// filler is a desired property that is larger than what a Digest keeps.
var filler = `"x":[` + strings.Repeat(`[],{"]}":"\"}{"},`, 32_000) + `[]]`

// A section that is small enough is unchanged, whatever the size of the other one.
func TestDigest_keepsASection(t *testing.T) {
	const small = `{"cameras":{"a":{"host":"h\"}"}},"tunnels":{"enabled":true},"$version":7}`
	for name, c := range map[string][2]string{
		"both":           {`{"desired":` + small + `,"reported":{"a":1},"other":{` + filler + `}}`, `{"desired":` + small + `,"reported":{"a":1}}`},
		"large reported": {`{"reported":{` + filler + `},"desired":` + small + `}`, `{"desired":` + small + `}`},
		"large desired":  {`{"desired":{` + filler + `,"tunnels":{},"$version":7},"reported":{"a":1}}`, `{"desired":{"$tooLarge":true,"$version":7,"tunnels":{}},"reported":{"a":1}}`},
	} {
		for _, piece := range []int{1, 3, 1 << 16} {
			if d := cmp.Diff(c[1], digest(c[0], piece)); d != "" {
				t.Errorf("%s in pieces of %d: %s", name, piece, d)
			}
		}
	}
}

// What is too large to be applied is rejected as one, but tunnels.enabled=false switches
// tunnels off, and so does a document that cannot be read. It makes no difference
// whether the document was skipped.
func TestDigest_killSwitch(t *testing.T) {
	large := func(members string) string { return `{"desired":{` + members + `,"$version":5},"reported":{}}` }
	for name, c := range map[string]struct {
		doc        string
		off        bool
		notSkipped bool // the document can also be parsed without a Digest
	}{
		"absent":           {large(filler), false, true},
		"no member":        {large(filler + `,"tunnels":{"max":3}`), false, true},
		"true":             {large(filler + `,"tunnels":{"enabled":true}`), false, true},
		"true as text":     {large(`"tunnels":{"enabled":"True"},` + filler), false, true},
		"null":             {large(filler + `,"tunnels":{"enabled":null}`), false, true},
		"null section":     {large(filler + `,"tunnels":null`), false, true},
		"false":            {large(filler + `,"tunnels":{"enabled":false}`), true, true},
		"false at first":   {large(`"tunnels":{"max":{"enabled":true},"enabled":false},` + filler), true, true},
		"false as text":    {large(filler + `,"tunnels":{"enabled":"false"}`), true, true},
		"escaped names":    {large(filler + `,"t\u0075nnels":{"\u0065nabled":false}`), true, true},
		"blanks":           {large(filler + " ,\n\t\"tunnels\" : { \"enabled\" : false } "), true, true},
		"twice":            {large(`"tunnels":{"enabled":false},` + filler + `,"tunnels":{"enabled":true}`), true, true},
		"a number":         {large(filler + `,"tunnels":{"enabled":1}`), true, true},
		"a long value":     {large(filler + `,"tunnels":{"enabled":"` + strings.Repeat("true", 100) + `"}`), true, true},
		"a list of it":     {large(filler + `,"tunnels":[{"enabled":true}]`), true, true},
		"elsewhere":        {large(filler + `,"Tunnels":{"enabled":false},"health":{"tunnels":{"enabled":false}},"y":[{"tunnels":{"enabled":false}}]`), false, true},
		"cut":              {large(filler)[:500_000], true, false},
		"garbage":          {strings.Repeat("x", 2<<20), true, false},
		"a list":           {`[` + large(filler) + `]`, true, false},
		"no desired":       {`{"reported":{` + filler + `}}`, true, false},
		"desired is text":  {`{"desired":"` + strings.Repeat("x", 1<<20) + `"}`, true, false},
		"wrong brackets":   {large(filler + `,"y":[}`), true, false},
		"two documents":    {large(filler) + large(filler), true, false},
		"no comma":         {large(filler + `"y":1`), true, false},
		"deeply nested":    {large(`"y":` + strings.Repeat("[", 300_000) + strings.Repeat("]", 300_000)), true, false},
		"nothing":          {``, true, false},
		"bad literal":      {`{"desired":{"x":nope,"$version":5},"reported":{` + filler + `}}`, true, false},
		"nothing but open": {strings.Repeat(`{"a":`, 300_000), true, false},
	} {
		docs := []string{digest(c.doc, 1<<12)}
		if c.notSkipped {
			docs = append(docs, c.doc)
		}
		for i, doc := range docs {
			got, out := parse(t, doc).Apply(lastGood())
			want := *lastGood()
			want.Tunnels.Enabled = !c.off
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (%d): %s", name, i, d)
			}
			if len(out.Faults) != 1 || out.Faults[0].Code != reason.ConfigSize || out.IsTaken("tunnels/enabled") != c.off {
				t.Errorf("%s (%d): %+v", name, i, out.Faults)
			}
		}
	}
}

// A twin of 16 MiB costs the memory of what is kept. This test is not parallel.
func TestDigest_memory(t *testing.T) {
	piece := []byte(strings.Repeat(`{"a":[1,2,"x"]},`, 4096))
	d := twin.NewDigest()
	_, _ = d.Write([]byte(`{"desired":{"x":[`))
	before := allocated()
	for range 256 {
		_, _ = d.Write(piece)
	}
	_, _ = d.Write([]byte(`0],"tunnels":{"enabled":false},"$version":3}}`))
	if n := (allocated() - before) >> 20; n > 4 {
		t.Errorf("%d MiB were allocated", n)
	}
	if got, want := string(d.Document()), `{"desired":{"$tooLarge":true,"$version":3,"tunnels":{"enabled":false}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// Pieces make no difference, and the result is always a twin.
func FuzzDigest(f *testing.F) {
	f.Add(`{"desired":{"tunnels":{"enabled":false},"$version":1},"reported":{}}`, 3)
	f.Add(`{"desired":{"x":["\\",{}],"$version":1}}`, 1)
	f.Fuzz(func(t *testing.T, doc string, piece int) {
		whole := digest(doc, max(len(doc), 1))
		if cut := digest(doc, max(piece, 1)); cut != whole {
			t.Errorf("whole %s, cut %s", whole, cut)
		}
		if !json.Valid([]byte(whole)) {
			t.Errorf("%q is no JSON", whole)
		}
		if _, err := twin.Parse([]byte(doc)); err == nil {
			if _, err := twin.Parse([]byte(whole)); err != nil {
				t.Errorf("%q is a twin, and not %s: %v", doc, whole, err)
			}
		}
	})
}

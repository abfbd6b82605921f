package twin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The table in docs/TWIN.md has every property of the schema, with its default and, for
// numbers, the allowed range.
func TestDocs_haveEveryProperty(t *testing.T) {
	text, err := os.ReadFile("../../../docs/TWIN.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]row{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+/\\S+)` \\| ([^|]+) \\| ([^|]+) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = row{m[2], m[3]}
	}
	want := map[string]row{"remoteEndpoints/*": documented["remoteEndpoints/*"]} // has no range to compare
	for part, p := range schemaParts(t) {
		section := map[string]string{"camera": "cameras/*", "stream": "cameras/*/streams/*"}[part]
		if section == "" {
			section = part
		}
		for name, property := range p.Properties {
			path := section + "/" + name
			want[path] = property.documented(documented[path])
		}
	}
	if d := cmp.Diff(want, documented); d != "" {
		t.Errorf("the schema (-) and docs/TWIN.md (+):\n%s", d)
	}
	if len(documented) < 20 {
		t.Errorf("the table is %v", slices.Sorted(maps.Keys(documented)))
	}
}

type schemaPart struct {
	Properties map[string]schemaProperty `json:"properties"`
}

type schemaProperty struct {
	Default          any
	Minimum, Maximum *json.Number
}

func schemaParts(t *testing.T) map[string]schemaPart {
	t.Helper()
	text, err := os.ReadFile("../../../modules/rtsptunnel/twin.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Parts map[string]schemaPart `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Parts
}

// row is one property of the table.
type row struct{ Default, Allowed string }

// documented returns the expected row. Where the schema has no default or no range, it
// keeps the text of the actual row r.
func (p schemaProperty) documented(r row) row {
	if p.Default != nil && p.Default != "" {
		r.Default = fmt.Sprintf("`%v`", p.Default)
	}
	if p.Minimum != nil {
		r.Allowed = fmt.Sprintf("%s to %s", *p.Minimum, *p.Maximum)
	}
	return r
}

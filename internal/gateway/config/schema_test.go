package config_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/gateway/config"
)

// node is what this test reads of a schema.
type node struct {
	Ref         string          `json:"$ref"`
	Description string          `json:"description"`
	Default     any             `json:"default"`
	Properties  map[string]node `json:"properties"`
	Items       *node           `json:"items"`
	Additional  json.RawMessage `json:"additionalProperties"` // false, or a node
}

func schemaRoot(t *testing.T) node {
	t.Helper()
	var root node
	if err := json.Unmarshal([]byte(config.Schema), &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// walk calls visit for each key of the schema, with its path: * stands for the keys of a
// map, and [] for the items of a sequence.
func (n node) walk(t *testing.T, path string, visit func(path string, n node)) {
	t.Helper()
	if path != "" {
		visit(path, n)
	}
	for name, below := range n.Properties {
		below.walk(t, strings.TrimPrefix(path+"."+name, "."), visit)
	}
	if n.Items != nil && len(n.Items.Properties) > 0 {
		n.Items.walk(t, path+"[]", visit)
	}
	if strings.HasPrefix(string(n.Additional), "{") {
		var below node
		if err := json.Unmarshal(n.Additional, &below); err != nil {
			t.Fatal(err)
		}
		below.walk(t, path+".*", visit)
	}
}

func schemaKeys(t *testing.T) map[string]node {
	t.Helper()
	keys := map[string]node{}
	schemaRoot(t).walk(t, "", func(path string, n node) { keys[path] = n })
	return keys
}

// fields has the paths of a type as walk has them.
func fields(typ reflect.Type, path string, found map[string]bool) {
	if path != "" {
		found[path] = true
	}
	_, isText := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(typ))
	switch {
	case isText:
	case typ.Kind() == reflect.Struct:
		for f := range typ.Fields() {
			if name := f.Tag.Get("yaml"); name != "" && name != "-" {
				fields(f.Type, strings.TrimPrefix(path+"."+name, "."), found)
			}
		}
	case typ.Kind() == reflect.Map:
		fields(typ.Elem(), path+".*", found)
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
		fields(typ.Elem(), path+"[]", found)
	}
}

// The schema and the Go types have the same keys.
func TestSchema_isTheTypes(t *testing.T) {
	found := map[string]bool{}
	fields(reflect.TypeFor[config.Config](), "", found)
	keys := schemaKeys(t)
	if d := cmp.Diff(slices.Sorted(maps.Keys(keys)), slices.Sorted(maps.Keys(found))); d != "" {
		t.Errorf("the schema (-) and the types (+):\n%s", d)
	}
	if len(keys) < 60 {
		t.Errorf("there are %d keys", len(keys))
	}
	for path, n := range keys {
		if last := path[strings.LastIndex(path, ".")+1:]; n.Description == "" && last != "*" && !strings.HasSuffix(path, "[]") && path != "log" {
			t.Errorf("%s has no description", path)
		}
	}
}

// The schema's defaults are those of the program.
func TestSchema_defaults(t *testing.T) {
	dir := folder(t, map[string]string{"f": "cameras: { e/c: { hub: main } }\npublicURL: https://h\nhubs: { main: { connectionStringFile: x } }\n" +
		"access: { tokens: [{ name: a, role: admin, sha256File: x }] }\n"})
	c, err := config.Load(config.Options{File: filepath.Join(dir, "f"), WithoutSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for path, n := range schemaKeys(t) {
		if n.Default == nil {
			continue
		}
		value := reflect.ValueOf(c).Elem()
		for part := range strings.SplitSeq(strings.ReplaceAll(path, "[]", ".[]"), ".") {
			switch part {
			case "*":
				keys := value.MapKeys()
				value = value.MapIndex(keys[0])
			case "[]":
				value = value.Index(0)
			default:
				field, _ := value.Type().FieldByNameFunc(func(name string) bool { f, _ := value.Type().FieldByName(name); return f.Tag.Get("yaml") == part })
				value = value.FieldByIndex(field.Index)
			}
		}
		checked++
		if got, want := text(value.Interface()), fmt.Sprint(n.Default); got != want {
			t.Errorf("%s is %s, and the schema says %s", path, got, want)
		}
	}
	if checked < 15 {
		t.Errorf("%d defaults were compared", checked)
	}
}

func text(value any) string {
	switch v := value.(type) {
	case config.Duration:
		return time.Duration(v).String()
	case config.Size:
		return fmt.Sprintf("%dMiB", v>>20)
	default:
		return fmt.Sprint(v)
	}
}

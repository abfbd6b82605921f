package jsonvalue_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/jsonvalue"
)

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestClone(t *testing.T) {
	const text = `{"a":{"b":[1.50,{"c":null}],"d":true},"e":"f","g":null}`
	original := decode(t, text)
	clone := jsonvalue.CloneObject(original)
	if diff := cmp.Diff(original, clone); diff != "" {
		t.Errorf("the copy differs (-want +got):\n%s", diff)
	}
	a := clone["a"].(map[string]any)
	a["b"].([]any)[1].(map[string]any)["c"] = "changed"
	a["b"].([]any)[0] = "changed"
	delete(a, "d")
	clear(clone)
	if diff := cmp.Diff(decode(t, text), original); diff != "" {
		t.Errorf("a change of the copy changed the original (-want +got):\n%s", diff)
	}
	if c := jsonvalue.CloneObject(nil); c == nil || len(c) != 0 {
		t.Errorf("the copy of a nil map is %#v, want an empty map", c)
	}
}

func TestSet(t *testing.T) {
	for _, tt := range []struct {
		name, object, path, value string
		want                      string
		ok                        bool
	}{
		{"a member", `{"a":1}`, "b", `2`, `{"a":1,"b":2}`, true},
		{"a member that exists", `{"a":{"b":1,"c":2}}`, "a", `{"d":3}`, `{"a":{"d":3}}`, true},
		{"missing objects", `{}`, "a.b.c", `[1]`, `{"a":{"b":{"c":[1]}}}`, true},
		{"null on the path", `{"a":null}`, "a.b", `1`, `{"a":{"b":1}}`, true},
		{"an object on the path", `{"a":{"b":1}}`, "a.c", `2`, `{"a":{"b":1,"c":2}}`, true},
		{"a number on the path", `{"a":1}`, "a.b.c", `2`, `{"a":{"b":{"c":2}}}`, false},
		{"an array on the path", `{"a":[{"b":1}]}`, "a.b", `2`, `{"a":{"b":2}}`, false},
		{"null deletes", `{"a":{"b":1,"c":2}}`, "a.b", `null`, `{"a":{"c":2}}`, true},
		{"null of a missing member", `{"a":{}}`, "a.b", `null`, `{"a":{}}`, true},
		{"null below a missing member", `{"a":1}`, "b.c.d", `null`, `{"a":1}`, true},
		{"null below a number", `{"a":1}`, "a.b", `null`, `{"a":1}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			object := decode(t, tt.object)
			value := decode(t, `{"value":`+tt.value+`}`)["value"]
			if ok := jsonvalue.Set(object, strings.Split(tt.path, "."), value); ok != tt.ok {
				t.Errorf("got %v, want %v", ok, tt.ok)
			}
			if diff := cmp.Diff(decode(t, tt.want), object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

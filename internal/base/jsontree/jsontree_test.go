package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/jsontree"
)

func TestParse_roundTrip(t *testing.T) {
	const doc = `{"z":1.50,"a":[true,null,1e3,12345678901234567890],"text":"<&>é\n","z2":{}}`
	v, duplicates, err := jsontree.Parse([]byte("\ufeff" + doc))
	if err != nil || duplicates != nil {
		t.Fatal(err, duplicates)
	}
	if got := string(v.Compact()); got != doc {
		t.Errorf("got  %s\nwant %s", got, doc)
	}
	if got := string(v.Clone().Indent()); !strings.HasPrefix(got, "{\n  \"z\": 1.50,\n") || !strings.HasSuffix(got, "}\n") {
		t.Errorf("indented:\n%s", got)
	}
}

func TestParse_lines(t *testing.T) {
	v, _, err := jsontree.Parse([]byte("{\n\"a\":\n [\n 1,\n 2],\n\n\"b\": {}}"))
	if err != nil {
		t.Fatal(err)
	}
	got := []int{v.Line, v.Get("a").Line, v.Get("a").Items[1].Line, v.Get("b").Line}
	if want := []int{1, 3, 5, 7}; !cmp.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
}

func TestParse_duplicates(t *testing.T) {
	_, got, err := jsontree.Parse([]byte("{\"a\": [{}, {\"b\": 1,\n \"c\": 2, \"b\": {\n\"b\": 3}}],\n \"a\": 1, \"a\": 2}"))
	if err != nil {
		t.Fatal(err)
	}
	want := []jsontree.Duplicate{{[]string{"a", "1", "b"}, 1, 2}, {[]string{"a"}, 1, 4}, {[]string{"a"}, 1, 4}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParse_errors(t *testing.T) {
	for doc, want := range map[string]string{
		"":                             "line 1: the file ends before the JSON does",
		"{\n\"a\": 1,\n\"b\"":          "line 3: the file ends before the JSON does",
		"{\n\"a\": 1\n\"b\": 2}":       "line 3: invalid character '\"' after object key:value pair",
		"{\"a\": 1,}":                  "line 1: invalid character '}'",
		"{\n// no\n}":                  "line 2: invalid character '/'",
		"{}\n\n x":                     "line 3: something follows the end of the JSON",
		"{}\n{}":                       "line 2: something follows the end of the JSON",
		"{\n\"a\": \"\xff\"}":          "line 2: the file is not in UTF-8",
		"\xff\xfe{\x00":                "line 1: the file is in UTF-16; save it as UTF-8",
		strings.Repeat("[", 101):       "line 1: nested more than 100 deep",
		"{\"a\": \"\n\"}":              "line 1: invalid character '\\n' in string literal",
		"{\"a\":\n\n\n tru}":           "line 4: invalid character '}' in literal true",
		"[1 2]":                        "line 1: invalid character '2' after array element",
		"{1: 2}":                       "line 1:",
		"]":                            "line 1: invalid character ']'",
		strings.Repeat("[1,", 5) + "x": "line 1: invalid character 'x'",
	} {
		_, _, err := jsontree.Parse([]byte(doc))
		syntax, ok := errors.AsType[*jsontree.SyntaxError](err)
		if !ok || !strings.HasPrefix(err.Error(), want) || syntax.Line < 1 {
			t.Errorf("%.40q: got %v, want %s", doc, err, want)
		}
	}
}

func TestMembers(t *testing.T) {
	v := jsontree.NewObject()
	v.Set("a", jsontree.NewString("1"))
	v.Set("b", jsontree.NewObject())
	v.Set("a", jsontree.NewString("2"))
	v.Get("b").Set("c", &jsontree.Value{})
	copied := v.Clone()
	v.Get("b").Delete("c")
	v.Delete("a")
	if got, want := fmt.Sprintf("%s %s", v.Compact(), copied.Compact()), `{"b":{}} {"a":"2","b":{"c":null}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if v.At("b", "c", "d") != nil || !copied.At("b", "c").Is(jsontree.Null) || (*jsontree.Value)(nil).Is(jsontree.Null) {
		t.Error("At or Is finds a missing value")
	}
}

// Documents that Parse accepts are valid for encoding/json, and have the same meaning.
func FuzzParse(f *testing.F) {
	for _, doc := range []string{`{"a":[1,true,null,"x"]}`, `{"a":1,"a":2}`, `[`, `"\ud800"`, "{}x", `{"\u2028":"<"}`} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		v, _, err := jsontree.Parse(doc)
		if err != nil {
			return
		}
		doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
		var want, got any
		if err := json.Unmarshal(doc, &want); err != nil && json.Valid(doc) {
			return // a number out of range
		} else if err != nil {
			t.Fatalf("%q: encoding/json: %v", doc, err)
		}
		for _, text := range [][]byte{v.Compact(), v.Indent()} {
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%q became %q: %v", doc, text, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%q became %q: %s", doc, text, diff)
			}
		}
	})
}

package hubctl_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// twin is what the service may set, as the command shows it.
type twin struct {
	ETag       string         `json:"etag"`
	Tags       map[string]any `json:"tags"`
	Properties struct {
		Desired map[string]any `json:"desired"`
	} `json:"properties"`
}

func (e *env) twin(t *testing.T) twin {
	t.Helper()
	var tw twin
	if err := json.Unmarshal([]byte(e.must(t, "twin", "get", "edge1/rtsptunnel")), &tw); err != nil {
		t.Fatal(err)
	}
	delete(tw.Properties.Desired, "$metadata")
	delete(tw.Properties.Desired, "$version")
	return tw
}

// check compares the twin with what it must be.
func (e *env) check(t *testing.T, desired, tags map[string]any) {
	t.Helper()
	tw := e.twin(t)
	if diff := cmp.Diff(desired, tw.Properties.Desired); diff != "" {
		t.Errorf("desired (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tags, tw.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestTwin_set(t *testing.T) {
	e := start(t)
	const id = "edge1/rtsptunnel"
	type object = map[string]any
	e.stdin = "\n {\"a\": 1, \"b\": {\"c\": 2, \"d\": 3}}\n"
	said := e.must(t, "twin", "set", id, "--desired", "-", "--tags", file(t, `{"site":"north","old":true}`))
	if !regexp.MustCompile(`^changed the twin of edge1/rtsptunnel: desired properties are at version 2, etag \S+\n$`).MatchString(said) {
		t.Errorf("set wrote %q", said)
	}
	e.check(t, object{"a": 1.0, "b": object{"c": 2.0, "d": 3.0}}, object{"site": "north", "old": true})

	e.must(t, "twin", "set", "--desired", file(t, `{"a":null,"b":{"c":5}}`), id)
	e.check(t, object{"b": object{"c": 5.0, "d": 3.0}}, object{"site": "north", "old": true})

	// A replacement of one section leaves the other.
	e.must(t, "twin", "set", id, "--replace", "--tags", file(t, `{"site":"south"}`))
	e.check(t, object{"b": object{"c": 5.0, "d": 3.0}}, object{"site": "south"})
	e.must(t, "twin", "set", id, "--replace", "--desired", file(t, `{"z":1}`))
	e.check(t, object{"z": 1.0}, object{"site": "south"})
	e.must(t, "twin", "set", id, "--replace", "--desired", file(t, `{}`), "--tags", file(t, `{}`))
	e.check(t, object{}, object{})
}

func TestTwin_setIfMatch(t *testing.T) {
	e := start(t)
	const id = "edge1/rtsptunnel"
	patch := file(t, `{"a":1}`)
	etag := e.twin(t).ETag
	var changed twin
	if err := json.Unmarshal([]byte(e.must(t, "twin", "set", id, "--json", "--desired", patch, "--if-match", etag)), &changed); err != nil {
		t.Fatal(err)
	}
	if changed.ETag == "" || changed.ETag == etag {
		t.Errorf("etag %q after %q", changed.ETag, etag)
	}
	for _, replace := range []string{"--replace=false", "--replace"} {
		e.refused(t, 1, []string{"change twin of " + id, "412 PreconditionFailed", "new etag"},
			"twin", "set", id, replace, "--desired", file(t, `{"b":1}`), "--if-match", etag)
	}
	e.must(t, "twin", "set", id, "--desired", patch, "--if-match", `"`+changed.ETag+`"`) // as the header has it
	e.check(t, map[string]any{"a": 1.0}, map[string]any{})
}

// A twin is written as the hub sent it: numbers keep their digits.
func TestTwin_getKeepsDigits(t *testing.T) {
	e := start(t)
	e.must(t, "twin", "set", "edge1", "--desired", file(t, `{"big":4503599627370495}`))
	got := e.must(t, "twin", "get", "edge1")
	if !strings.Contains(got, "\n      \"big\": 4503599627370495\n") {
		t.Errorf("got:\n%s", got)
	}
	if again := e.must(t, "twin", "get", "edge1", "--json"); again != got {
		t.Errorf("--json differs:\n%s", cmp.Diff(got, again))
	}
}

func TestTwin_refusals(t *testing.T) {
	e := start(t)
	const secret = "hunter2hunter2"
	bad := file(t, `{"password": `+secret+`}`)
	e.stdin = `{"a":` + secret
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{"want --desired, --tags or both"}, nil},
		{[]string{"--desired is not JSON"}, []string{"--desired", bad}},
		{[]string{"--desired is not JSON"}, []string{"--desired", "-"}},
		{[]string{"--tags is not a JSON object"}, []string{"--tags", file(t, `[1]`)}},
		{[]string{"--tags is not a JSON object"}, []string{"--tags", file(t, ` null`)}},
		{[]string{"only once"}, []string{"--tags", "-", "--desired", "-"}},
		{[]string{"--desired", "no such file"}, []string{"--desired", "missing.json"}},
		{[]string{"--desired", "is a directory"}, []string{"--desired", "."}},
		{[]string{"--desired", "more than 1024 KB"}, []string{"--desired", file(t, `"`+strings.Repeat("a ", 1<<19)+`"`)}},
	} {
		_, _, stderr := e.run(t, append([]string{"twin", "set", "edge1"}, c.args...)...)
		if strings.Contains(stderr, secret) {
			t.Errorf("the content is repeated:\n%s", stderr)
		}
		e.refused(t, 2, append(c.words, "See tunnelctl hub twin set --help."), append([]string{"twin", "set", "edge1"}, c.args...)...)
	}
	e.refused(t, 1, []string{"400 ArgumentInvalid"}, "twin", "set", "edge1", "--desired", file(t, fmt.Sprintf(`{%q:1}`, "a.b")))
	e.refused(t, 1, []string{"read twin of missing", "404 DeviceNotFound"}, "twin", "get", "missing")
	e.refused(t, 2, []string{"neither DEVICE nor DEVICE/MODULE"}, "twin", "get", "a/b/c")
}

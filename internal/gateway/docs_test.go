package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/testkit/rtsptest"
)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/GATEWAY.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keyNode is what this test reads of the schema.
type keyNode struct {
	Ref              string `json:"$ref"`
	Type             string `json:"type"`
	Description      string `json:"description"`
	Default          any    `json:"default"`
	Minimum, Maximum *json.Number
	Properties       map[string]keyNode `json:"properties"`
	Items            *keyNode           `json:"items"`
	Additional       json.RawMessage    `json:"additionalProperties"`
}

// row is a key of the table: its default, and its range if it is a number.
type row struct{ Default, Range, Meaning string }

func (n keyNode) rows(t *testing.T, path string, found map[string]row) {
	t.Helper()
	switch {
	case n.Properties != nil:
		for name, below := range n.Properties {
			below.rows(t, strings.TrimPrefix(path+"."+name, "."), found)
		}
	case bytes.HasPrefix(n.Additional, []byte("{")):
		var below keyNode
		if err := json.Unmarshal(n.Additional, &below); err != nil {
			t.Fatal(err)
		}
		below.rows(t, path+".*", found)
	case n.Items != nil && n.Items.Properties != nil:
		n.Items.rows(t, path+"[]", found)
	default:
		r := row{Default: "none", Meaning: n.Description}
		if n.Default != nil {
			r.Default = fmt.Sprintf("`%v`", n.Default)
		}
		if n.Minimum != nil {
			r.Range = fmt.Sprintf("%s to %s", *n.Minimum, *n.Maximum)
		}
		found[path] = r
	}
}

// The table of keys is the schema.
func TestDocs_keys(t *testing.T) {
	var root keyNode
	decoder := json.NewDecoder(strings.NewReader(config.Schema))
	if err := decoder.Decode(&root); err != nil {
		t.Fatal(err)
	}
	want := map[string]row{}
	root.rows(t, "", want)
	got := map[string]row{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z]+(?:[.\\[][^`]*)?)` \\| ([^|]+) \\| ([^|]+) \\| (.+) \\|$").FindAllStringSubmatch(document(t), -1) {
		r := row{Default: m[2], Meaning: m[4]}
		if want[m[1]].Range != "" {
			r.Range = m[3]
		}
		got[m[1]] = r
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the schema (-) and docs/GATEWAY.md (+):\n%s", d)
	}
	if len(got) < 50 {
		t.Errorf("the table has %d keys", len(got))
	}
}

// The examples of the document are valid files.
func TestDocs_examples(t *testing.T) {
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(document(t), -1)
	for _, m := range examples {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(config.Options{File: file, WithoutSecrets: true}); err != nil {
			t.Errorf("%v in\n%s", err, m[1])
		}
	}
	if len(examples) == 0 {
		t.Error("there is no example")
	}
}

// Every code that the gateway's packages name is in the table of errors, and every hop.
func TestDocs_reasons(t *testing.T) {
	values := map[string]string{}
	source, err := os.ReadFile("../contract/reason/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+)\s+Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		values[m[1]] = m[2]
	}
	documented := map[string]bool{}
	hops := map[failure.Hop]bool{}
	for _, line := range regexp.MustCompile("(?m)^\\| (\\w+) \\| (`.+`) \\| .+ \\|$").FindAllStringSubmatch(document(t), -1) {
		hops[failure.Hop(line[1])] = true
		for _, code := range regexp.MustCompile("`([A-Z0-9_]+)`").FindAllStringSubmatch(line[2], -1) {
			documented[code[1]] = true
		}
	}
	used := map[string]bool{}
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`\breason\.([A-Z]\w+)`).FindAllStringSubmatch(string(text), -1) {
			if code := values[m[1]]; code != "" && !strings.HasPrefix(code, "CFG_") {
				used[code] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range slices.Sorted(maps.Keys(used)) {
		if !documented[code] {
			t.Errorf("docs/GATEWAY.md has no row with %s", code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(documented)) {
		if !slices.Contains(slices.Collect(maps.Values(values)), code) {
			t.Errorf("docs/GATEWAY.md has %s, which is no code", code)
		}
	}
	for _, hop := range failure.Hops() {
		if !hops[hop] {
			t.Errorf("docs/GATEWAY.md has no row of hop %s", hop)
		}
	}
}

// The table of metrics has the metrics of a scrape.
func TestDocs_metrics(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"' } }\n")
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1); err != nil {
		t.Fatal(err)
	}
	r.log.AwaitFields(t, 1, "message=stream opened") // is counted before
	_, body := r.get(t, "/metrics")
	// without an event they are not in a scrape
	want := map[string]bool{"access_denied_total": true, "stream_reopens_total": true, "camera_key_interval_seconds": true, "certificate_expiry_timestamp_seconds": true}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE tunnelgateway_(\w+) `).FindAllStringSubmatch(body, -1) {
		want[m[1]] = true
	}
	got := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `tunnelgateway_(\\w+)` \\|").FindAllStringSubmatch(document(t), -1) {
		got[m[1]] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the scrape (-) and docs/GATEWAY.md (+):\n%s", d)
	}
}

// The variables of the document are those of the program.
func TestDocs_variables(t *testing.T) {
	source, err := os.ReadFile("config/environment.go")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, m := range regexp.MustCompile(`prefix ?\+ ?"([A-Z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		want["TUNNELGATEWAY_"+m[1]] = true
	}
	got := map[string]bool{}
	for _, line := range regexp.MustCompile("(?m)^\\| (`TUNNELGATEWAY_.*?) \\|").FindAllStringSubmatch(document(t), -1) {
		for _, m := range regexp.MustCompile(`TUNNELGATEWAY_[A-Z_]+`).FindAllString(line[1], -1) {
			got[m] = true
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the code (-) and docs/GATEWAY.md (+):\n%s", d)
	}
}

package manifest_test

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/ops/manifest"
)

// Refusals that follow only later, at the hub or by az, are reported early.
func TestValidate_modules(t *testing.T) {
	for modules, want := range map[int][]string{50: {}, 51: {"modulesContent/$edgeAgent: has 51 modules; IoT Hub accepts at most 50 in a deployment"}} {
		var more strings.Builder
		for i := 1; i < modules; i++ {
			fmt.Fprintf(&more, `, "m%d": MODULE`, i)
		}
		doc := full("1.1", `"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, more.String())
		if diff := cmp.Diff(want, lines(manifest.Validate(parse(t, "x", doc), manifest.Options{}))); diff != "" {
			t.Errorf("%d modules: %s", modules, diff)
		}
	}
}

// Members that az's schema for $edgeAgent 1.1 refuses pass its schema for 1.0, except
// system modules.
func TestValidate_closedAgent(t *testing.T) {
	for version, errors := range map[string]int{"1.1": 2, "1.1.0": 1, "1.0": 1} {
		doc := full(version, `"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 1}`, "")
		doc = strings.Replace(doc, `"status"`, `"version": "1", "status"`, 1)
		doc = strings.Replace(doc, `"edgeAgent": {`, `"edgeProxy": {}, "edgeAgent": {`, 1)
		got := manifest.Validate(parse(t, "x", doc), manifest.Options{})
		if len(got) != 2 || len(got.Errors()) != errors {
			t.Errorf("%s: %v", version, got)
		}
	}
}

// Az accepts the old name moduleContent, also inside of content, and renames it.
func TestParse_oldName(t *testing.T) {
	const want = `{"modulesContent":{"$edgeAgent":{}}}`
	for doc, path := range map[string]string{
		`{"moduleContent": {"$edgeAgent": {}}}`:              "moduleContent",
		`{"content": {"moduleContent": {"$edgeAgent": {}}}}`: "content/moduleContent",
	} {
		m, problems := manifest.Parse("x", []byte(doc))
		if len(problems) != 1 || !problems[0].Warning || problems[0].Path != path {
			t.Errorf("%s: %v", doc, problems)
		}
		if got := string(m.Content()); got != want {
			t.Errorf("%s: got %s", doc, got)
		}
		if got := manifest.Validate(m, manifest.Options{}); len(got) > 0 {
			t.Errorf("%s: %v", doc, got)
		}
	}
}

// Az reads UTF-8 with a mark, and UTF-16 with one.
func TestLoad_encodings(t *testing.T) {
	const doc = `{"modulesContent": {"$edgeAgent": {}, "x": {"properties.desired.a": "é😀"}}}`
	units := utf16.Encode([]rune(doc))
	little, err := binary.Append([]byte("\xff\xfe"), binary.LittleEndian, units)
	if err != nil {
		t.Fatal(err)
	}
	big, err := binary.Append([]byte("\xfe\xff"), binary.BigEndian, units)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"\xef\xbb\xbf" + doc:      "",
		string(little):            "",
		string(big):               "",
		string(little[2:]):        "is not valid JSON",
		string(big) + "x":         "is not valid UTF-16",
		"\xff\xfe\x00\xd8{\x00":   "is not valid UTF-16",
		"\xfe\xff\xd8\x00":        "is not valid UTF-16",
		"\xfe\xff\x00{" + "\x00}": "is not a deployment",
	} {
		for _, name := range []string{"a.json", "a.template.json"} {
			dir := folder(t, map[string]string{name: file})
			m, problems := manifest.Load(manifest.Source{File: filepath.Join(dir, name)})
			switch {
			case want == "" && (len(problems) > 0 || !strings.Contains(string(m.Content()), "é😀")):
				t.Errorf("%.10q: %v", file, problems)
			case want != "" && (m != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, want)):
				t.Errorf("%.10q: got %v, want %s", file, problems, want)
			}
		}
	}
}

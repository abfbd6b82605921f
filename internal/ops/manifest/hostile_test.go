package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtsptunnel/internal/ops/manifest"
)

// A file that is far below the largest size is judged at once, whatever it contains. Each
// of these takes below a quarter of a second; with a search to the end of the text at each
// of its places, it takes minutes.
func TestLoad_hostileTexts(t *testing.T) {
	const limit = 5 * time.Second
	value := func(text string) string {
		return `{"modulesContent": {"$edgeAgent": {}, "m": {"properties.desired.a": ` + strconv.Quote(text) + `}}}`
	}
	var cameras, parts []string
	for i := range 1000 {
		cameras = append(cameras, fmt.Sprintf(`"c%d": {"host": "10.0.0.1"}`, i))
	}
	for i := range 600 {
		parts = append(parts, `"properties.desired`+strings.Repeat(".a", i+1)+`": 1`)
	}
	for name, document := range map[string]string{
		"dollars":       value(strings.Repeat("$ ", 60_000)),
		"open braces":   value(strings.Repeat("${", 60_000)),
		"open comments": strings.Replace(layer(`"example/x:1"`, strconv.Quote(strings.Repeat("/* ", 200_000)), `{}`), `"$schema-template": "4.0.0", `, "", 1),
		"one port":      `{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired.cameras": {` + strings.Join(cameras, ",") + `}}}}`,
		"nested parts":  `{"modulesContent": {"$edgeAgent": {}, "m": {` + strings.Join(parts, ",") + `}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder(t, map[string]string{"x.json": document}), "x.json")
			start := time.Now()
			m, problems := manifest.Load(manifest.Source{File: file})
			if m != nil {
				problems = append(problems, manifest.Validate(m, manifest.Options{})...)
			}
			if took := time.Since(start); took > limit {
				t.Errorf("took %v, more than %v", took, limit)
			}
			if len(problems) == 0 || len(problems) > 2000 {
				t.Errorf("%d problems", len(problems))
			}
		})
	}
}

// References are found after text that looks like one, and after a brace that is not
// closed within its string.
func TestExpand_afterOpenBrace(t *testing.T) {
	env := variables(map[string]string{"A": "one"})
	for text, want := range map[string]string{
		`["${", "${A}"]`:          `["${", "one"]`,
		`["${x ${y", "${A}${A}"]`: `["${x ${y", "oneone"]`,
		`["${ $A \" ${A}", "$A"]`: `["${ one \" one", "one"]`,
		`["${}${A}", ${}${A}"]`:   `["${}one", ${}"${A}""]`, // outside of a string: one is not JSON
		`["$", "${\\", "$A"]`:     `["$", "${\\", "one"]`,
	} {
		if got := manifest.ExpandVariables(text, env); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// A template may come from a pipe, which can be read only once.
func TestLoad_pipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() {
		written <- os.WriteFile(pipe, []byte(`{"$schema-template": "4.0.0", "modulesContent": {"x": {"properties.desired": {"a": "${A}"}}}}`), 0)
	}()
	m, problems := manifest.Load(manifest.Source{File: pipe, Lookup: variables(map[string]string{"A": "one"})})
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if m == nil || !strings.Contains(string(m.Content()), `{"a":"one"}`) {
		t.Errorf("got %v, %v", m, problems)
	}
}

// The fault of createOptions is what stops edge agent, and not what edge agent reads.
func TestValidate_relaxedFault(t *testing.T) {
	options := `{'Env': ['A=1'], /* x */ 'Labels': {}`
	file := filepath.Join(folder(t, map[string]string{"l.json": layer(`"example/x:1"`, strconv.Quote(options), `{}`)}), "l.json")
	m, problems := manifest.Load(manifest.Source{File: file})
	if m == nil {
		t.Fatal(problems)
	}
	found := manifest.Validate(m, manifest.Options{}).Errors()
	if len(found) != 1 || !strings.Contains(found[0].Text, "the file ends before the JSON does") {
		t.Error(found)
	}
}

// A fault of all desired properties is at properties.desired.
func TestValidate_tooLargeTwin(t *testing.T) {
	var cameras []string
	for i := range 1000 {
		cameras = append(cameras, fmt.Sprintf(`"c%d": {"host": "camera%d.a-long-name.of-a-site.example", "port": 554, "localPort": %d}`, i, i, 10_000+i))
	}
	m, problems := manifest.Parse("x.json", []byte(`{"modulesContent": {"$edgeAgent": {}, "rtsptunnel": {"properties.desired": {"cameras": {`+strings.Join(cameras, ",")+`}}}}}`))
	if m == nil {
		t.Fatal(problems)
	}
	found := manifest.Validate(m, manifest.Options{}).Errors()
	if len(found) != 1 || found[0].Path != "modulesContent/rtsptunnel/properties.desired" || !strings.Contains(found[0].Text, "at most 32768 bytes") {
		t.Error(found)
	}
}

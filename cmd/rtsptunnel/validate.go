package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mattn/go-isatty"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/twin"
)

// maxInput limits the bytes read of a document. No twin is larger.
const maxInput = 8 << 20

// verdict is the result of validate.
type verdict struct {
	Faults      []finding  `json:"faults"`
	Warnings    []finding  `json:"warnings"`
	UnknownKeys []string   `json:"unknownKeys"`
	NotYet      []string   `json:"notYet"`
	Effective   []twin.Row `json:"effective,omitempty"` // with --explain
}

// finding is a fault or a warning. Code and InForce are empty for a warning.
type finding struct {
	Path    string      `json:"path"`
	Code    reason.Code `json:"code,omitempty"`
	Text    string      `json:"text"`
	InForce string      `json:"inForce,omitempty"`
}

// validate checks the document on stdin, or the environment with --env, without a hub.
// It returns the exit code.
func validate(flags []string, stdin io.Reader, stdout, stderr io.Writer) int {
	for i, f := range flags {
		if !slices.Contains([]string{"--json", "--explain", "--env"}, f) || slices.Contains(flags[:i], f) {
			_, _ = fmt.Fprintf(stderr, "rtsptunnel: validate takes --json, --explain and --env, each once, not %.100q; it reads the document from standard input; see rtsptunnel --help\n", f)
			return exitUsage
		}
	}
	has := func(flag string) bool { return slices.Contains(flags, flag) }
	var v verdict
	if has("--env") {
		v = checkEnvironment()
	} else {
		printHint(stdin, stderr)
		var err error
		if v, err = checkTwin(stdin); err != nil && !has("--json") {
			_, _ = fmt.Fprintf(stderr, "rtsptunnel: %v\n", err)
			return exitFailed
		}
	}
	if !has("--explain") {
		v.Effective = nil
	}
	code := 0
	if has("--json") {
		code = printJSON(stdout, stderr, v)
	} else {
		code = printText(stdout, stderr, v.String())
	}
	if code == 0 && len(v.Faults) > 0 {
		code = exitFailed
	}
	return code
}

// printHint says that validate waits for a document, if stdin is a terminal.
func printHint(stdin io.Reader, stderr io.Writer) {
	if f, ok := stdin.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		_, _ = fmt.Fprintln(stderr, "rtsptunnel: reading the document from this terminal until Ctrl-D; to read a file: rtsptunnel validate < FILE")
	}
}

// checkTwin checks the document on stdin. If the document cannot be read, it returns the
// error, and the verdict has the error as its only fault.
func checkTwin(stdin io.Reader) (verdict, error) {
	v := newVerdict()
	doc, err := io.ReadAll(io.LimitReader(stdin, maxInput))
	if err != nil {
		err = fmt.Errorf("read standard input: %w", err)
	}
	var inForce twin.Settings
	var outcome twin.Outcome
	if err == nil {
		inForce, outcome, err = twin.Check(doc)
	}
	if err != nil {
		v.Faults = append(v.Faults, finding{"document", reason.ConfigFormat, err.Error(), "nothing of it"})
		return v, err
	}
	for _, f := range outcome.Faults {
		v.Faults = append(v.Faults, finding(f))
	}
	for _, w := range outcome.Warnings {
		v.Warnings = append(v.Warnings, finding{Path: w.Path, Text: w.Text})
	}
	v.UnknownKeys = append(v.UnknownKeys, outcome.UnknownKeys...)
	v.NotYet = append(v.NotYet, outcome.NotYet...)
	v.Effective = twin.Explain(inForce, outcome)
	return v, nil
}

// checkEnvironment checks the environment of this process. The verdict holds no value that
// package config hides.
func checkEnvironment() verdict {
	v := newVerdict()
	fault := func(path, text, inForce string) {
		v.Faults = append(v.Faults, finding{path, reason.ConfigEnvironment, text, inForce})
	}
	cfg, err := config.Read()
	if err != nil {
		fault("environment", err.Error(), "no hub can be reached")
		return v
	}
	for _, f := range cfg.Faults {
		fault(f.Variable, f.Text, "") // the text says what is in force instead
	}
	for _, line := range cfg.Ignored {
		v.Warnings = append(v.Warnings, finding{Path: "environment", Text: line})
	}
	for _, s := range cfg.Settings() {
		v.Effective = append(v.Effective, twin.Row{Path: s.Name, Value: s.Value, Origin: s.Origin})
	}
	return v
}

// newVerdict returns a verdict with empty lists, which are not null in JSON.
func newVerdict() verdict {
	return verdict{Faults: []finding{}, Warnings: []finding{}, UnknownKeys: []string{}, NotYet: []string{}}
}

// String returns a line for each finding, and the number of faults in the last line.
func (v verdict) String() string {
	var text strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format+"\n", args...) }
	for _, f := range v.Faults {
		line("fault    %s  %s  %s", f.Path, f.Code, strings.TrimSuffix(f.Text+"; "+f.InForce, "; "))
	}
	for _, w := range v.Warnings {
		line("warning  %s  %s", w.Path, w.Text)
	}
	for _, path := range v.UnknownKeys {
		line("unknown  %s  is ignored", path)
	}
	for _, path := range v.NotYet {
		line("not yet  %s  has no effect in this version", path)
	}
	for _, r := range v.Effective {
		value, err := json.Marshal(r.Value)
		if err != nil { // strings, numbers and booleans always marshal
			continue
		}
		line("%-7s  %s = %s", r.Origin, r.Path, value)
	}
	line("faults: %d", len(v.Faults))
	return text.String()
}

package packaging_test

import (
	"bytes"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/ops/demo"
	"rtsptunnel/internal/ops/hubctl"
	"rtsptunnel/internal/ops/manifestctl"
)

// programs are the operators' programs, by their names.
var programs = map[string][]*cli.Command{
	"tunnelctl":   {demo.Command(), manifestctl.Command(), hubctl.Command()},
	"hubemulator": {hubemulator.Command()},
}

// written matches a command as documents have it: the program, the words of its verb, and
// the rest of the line.
var written = regexp.MustCompile("(?m)(?:^ *|`|\\$\\(|&& |! |\\| )(?:bin/|\\./|\\$ go run \\./cmd/|go run \\./cmd/)?(tunnelctl|hubemulator)((?: [a-z]+\\b)+)([^`|;&>\n]*)")

var flagName = regexp.MustCompile(`(?:^|\s|\[)--([a-z][a-z-]+)`)

// Each command of an operator's program that a document names exists, with its flags.
func TestDocuments_commands(t *testing.T) {
	counted := map[string]int{}
	for _, file := range documents(t) {
		text := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(content(t, file)), " ")
		for _, m := range written.FindAllStringSubmatch(text, -1) {
			program := cli.Program{Name: m[1], Brief: "test", Commands: programs[m[1]]}
			var help, complaint bytes.Buffer
			code := program.Run(t.Context(), append(strings.Fields(m[2]), "--help"), cli.IO{Out: &help, Err: &complaint})
			if code != 0 {
				t.Errorf("%s has %q: %s", file, strings.TrimSpace(m[0]), &complaint)
				continue
			}
			for _, f := range flagName.FindAllStringSubmatch(m[3], -1) {
				if f[1] != "help" && !strings.Contains(help.String(), "\n  --"+f[1]+" ") {
					t.Errorf("%s has %q: there is no flag --%s", file, strings.TrimSpace(m[0]), f[1])
				}
			}
			counted[m[1]]++
		}
	}
	if counted["tunnelctl"] < 15 || counted["hubemulator"] == 0 {
		t.Errorf("found %v commands", counted)
	}
}

// documents are the Markdown files at the top and in the folders of documents, without the
// changelog, which names commands of the past.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*.md", "modules/rtsptunnel/*.md"} {
		files, err := fs.Glob(os.DirFS(top), pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = slices.Concat(all, files)
	}
	return slices.DeleteFunc(all, func(file string) bool { return file == "CHANGELOG.md" })
}

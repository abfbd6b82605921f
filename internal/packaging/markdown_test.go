package packaging_test

import (
	"bytes"
	"regexp"
	"testing"
)

// table returns the rows of the first table in a Markdown text whose head begins with
// head. The keys are the texts of the first column, without backquotes.
func table(t *testing.T, text []byte, head string) map[string][]string {
	t.Helper()
	_, rest, found := bytes.Cut(text, []byte("\n"+head))
	if !found {
		t.Fatalf("there is no table %q", head)
	}
	rows := map[string][]string{}
	for line := range bytes.Lines(rest) {
		if !bytes.HasPrefix(line, []byte("|")) && len(rows) > 0 {
			break
		}
		if m := regexp.MustCompile("^\\| `([^`]+)` \\|(.*)\\|").FindSubmatch(line); m != nil {
			var cells []string
			for cell := range bytes.SplitSeq(m[2], []byte("|")) {
				cells = append(cells, string(bytes.TrimSpace(cell)))
			}
			if rows[string(m[1])] != nil {
				t.Errorf("the table %q has %s twice", head, m[1])
			}
			rows[string(m[1])] = cells
		}
	}
	return rows
}

// blocks returns the fenced blocks of a language in a Markdown text.
func blocks(text []byte, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		found = append(found, string(m[1]))
	}
	return found
}

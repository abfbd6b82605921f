package archtest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// avoided are phrases that make a sentence hard to read, with what to write instead.
// They are matched without case, as whole words, and over line breaks of comments.
// CONTRIBUTING.md, "Prose", has the rules that they stand for.
var avoided = map[string]string{
	"nobody":                   "name the party: no client, no caller, no process",
	"somebody":                 "name the party: another client, an operator",
	"whoever":                  "name the party: the caller, any process that",
	"for who":                  "name the party: for callers that",
	"of whom":                  "two sentences",
	"that of":                  "repeat the noun",
	"those of which":           "two sentences",
	"as it stands":             "say which state: as configured, unchanged",
	"by itself":                "say what acts: on its own initiative, without a request, alone",
	"by themselves":            "say what acts",
	"on its way":               "in flight, queued, being sent",
	"on their way":             "in flight, queued, being sent",
	"is told":                  "receives, learns, is logged, is reported",
	"are told":                 "receive, learn, are logged, are reported",
	"was told":                 "received, was logged, was reported",
	"be told":                  "receive, learn, be logged, be reported",
	"gone around":              "bypassed; there is no fallback",
	"thrown out":               "disconnected",
	"ill":                      "unhealthy, unreachable, failing",
	"no more than itself":      "say what is affected: only its own camera",
	"whole or not at all":      "atomic, all or nothing",
	"what is wrong":            "the error, the invalid value",
	"is nobody's business":     "must not know",
	"does not know any better": "say what is missing",
}

// proseFiles are the names, or ends of names, of files that people read as text.
var proseFiles = []string{".go", ".md", ".sh", ".js", ".mjs", ".ts", ".py", ".yml", ".yaml", ".json", ".template", "Makefile", "Dockerfile.amd64", "Dockerfile.arm64v8", "Dockerfile.arm32v7"}

// notProse are folders with inputs of tests and with results.
var notProse = []string{".git", "bin", "testdata", "node_modules", "clips"}

func TestProse_avoidsRiddles(t *testing.T) {
	patterns := map[string]*regexp.Regexp{}
	for phrase := range avoided {
		patterns[phrase] = phrasePattern(phrase)
	}
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(notProse, entry.Name()):
			return fs.SkipDir
		case entry.IsDir() || !isProse(path) || entry.Name() == "words_test.go" || entry.Name() == "package-lock.json":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		lower := strings.ToLower(string(text))
		for phrase, pattern := range patterns {
			if first, _, _ := strings.Cut(phrase, " "); !strings.Contains(lower, first) {
				continue // the pattern is slow
			}
			for _, at := range pattern.FindAllIndex(text, -1) {
				line := 1 + strings.Count(string(text[:at[0]]), "\n")
				t.Errorf("%s:%d: %q: write instead: %s", path, line, text[at[0]:at[1]], avoided[phrase])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

// phrasePattern matches the words of a phrase with any blanks, line breaks and comment
// marks between them.
func phrasePattern(phrase string) *regexp.Regexp {
	words := strings.Fields(phrase)
	for i, w := range words {
		words[i] = regexp.QuoteMeta(w)
	}
	return regexp.MustCompile(`(?i)\b` + strings.Join(words, `(?:\s|//|#|\*)+`) + `\b`)
}

func isProse(path string) bool {
	return strings.Contains(path, "/.ci/") || strings.Contains(path, "/.githooks/") ||
		slices.ContainsFunc(proseFiles, func(end string) bool { return strings.HasSuffix(path, end) })
}

func TestPhrasePattern(t *testing.T) {
	if !phrasePattern("is told").MatchString("what the hub Is\n\t// told") {
		t.Error("a phrase over two lines of a comment is not found")
	}
	if phrasePattern("ill").MatchString("it will skill") {
		t.Error("a part of a word is taken for the word")
	}
}

package packaging_test

import (
	"regexp"
	"strings"
	"testing"
)

// The files that may use time.After are tests that use testing/synctest, whose clock does
// not depend on the machine.
func TestLint_timeAfterInSynctestOnly(t *testing.T) {
	m := regexp.MustCompile(`text: 'time\\\.After'\n\s+path: '(.+)'\n`).FindStringSubmatch(read(t, ".golangci.yml"))
	if m == nil {
		t.Fatal(".golangci.yml has no list of files that may use time.After")
	}
	listed, found := regexp.MustCompile(m[1]), 0
	for _, file := range sources(t) {
		if !listed.MatchString(file) {
			continue
		}
		found++
		if !strings.Contains(read(t, file), "\t\"testing/synctest\"\n") {
			t.Errorf(".golangci.yml lists %s, which does not use testing/synctest", file)
		}
	}
	if found == 0 {
		t.Error("the list matches no file")
	}
}

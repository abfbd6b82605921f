package packaging_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the scripts of CI ask for before they begin, .ci/run installs; or a clean machine
// would end there.
func TestCI_installsWhatItAsksFor(t *testing.T) {
	partOf := map[string]string{"ffprobe": "ffmpeg"}
	everywhere := []string{"unshare"} // Debian's util-linux is essential
	run, asked := read(t, ".ci/run"), 0
	scripts, err := fs.Glob(os.DirFS(top), ".ci/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		for _, m := range regexp.MustCompile(`for tool in ([\w .-]+);`).FindAllStringSubmatch(read(t, script), -1) {
			for tool := range strings.FieldsSeq(m[1]) {
				asked++
				if whole := partOf[tool]; whole != "" {
					tool = whole
				}
				if !slices.Contains(everywhere, tool) && !strings.Contains(run, "need "+tool+" ") {
					t.Errorf("%s needs %s, which .ci/run does not install", script, tool)
				}
			}
		}
	}
	if asked < 15 {
		t.Errorf("%d commands are asked for", asked)
	}
}

// The tests that .ci/arm64 names are there: go test passes, and says nothing, if one that
// it is to run is not.
func TestCI_arm64NamesTests(t *testing.T) {
	script := read(t, ".ci/arm64")
	chosen := regexp.MustCompile(`(?m)^module='(.+)'$`).FindStringSubmatch(script)
	if chosen == nil {
		t.Fatal("no tests of package module are chosen")
	}
	here := testsIn(t, "internal/module")
	for name := range strings.SplitSeq(chosen[1], "|") {
		if !slices.ContainsFunc(here, func(test string) bool { return strings.HasPrefix(test, name) }) {
			t.Errorf("package module has no test %s", name)
		}
	}
	_, left, _ := strings.Cut(script, "\nskip=(\n")
	left, _, _ = strings.Cut(left, "\n)\n")
	left = regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(left, "")
	all := testsIn(t, "internal/*", "internal/*/*", "internal/*/*/*")
	for name := range strings.FieldsSeq(left) {
		if !slices.Contains(all, name) {
			t.Errorf("there is no test %s to leave out", name)
		}
	}
	if len(strings.Fields(left)) == 0 {
		t.Error("the tests that are left out are not found")
	}
}

// testsIn are the names of the tests in folders.
func testsIn(t *testing.T, folders ...string) (names []string) {
	t.Helper()
	var files []string
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(top, folder, "*_test.go"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no tests in %s: %v", folder, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

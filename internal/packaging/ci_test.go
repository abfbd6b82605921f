package packaging_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// .ci/run installs each tool that a script checks for at its start. Otherwise the script
// fails on a clean machine.
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
				if !slices.Contains(everywhere, tool) && !strings.Contains(run, "\nneed "+tool+" ") && !strings.Contains(run, " need "+tool+" ") &&
					!strings.Contains(run, "\nextract "+tool+" ") {
					t.Errorf("%s needs %s, which .ci/run does not install", script, tool)
				}
			}
		}
	}
	if asked < 15 {
		t.Errorf("the scripts check for %d tools", asked)
	}
}

// The packages that .ci/arm64 names exist. Only make judges runs it.
func TestCI_arm64NamesPackages(t *testing.T) {
	list := regexp.MustCompile(`(?m)^packages=\((.+)\)$`).FindStringSubmatch(read(t, ".ci/arm64"))
	if list == nil {
		t.Fatal(".ci/arm64 names no packages")
	}
	expanded, err := exec.CommandContext(t.Context(), "bash", "-c", "echo "+list[1]).Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(expanded))
	for _, name := range names {
		if files, err := filepath.Glob(filepath.Join(top, "internal", name, "*_test.go")); err != nil || len(files) == 0 {
			t.Errorf(".ci/arm64 names the package %s, which has no tests", name)
		}
	}
	if len(names) < 10 {
		t.Errorf(".ci/arm64 names only %q", names)
	}
}

// The tests that .ci/arm64 names exist. go test passes without a message if one is missing.
func TestCI_arm64NamesTests(t *testing.T) {
	script := read(t, ".ci/arm64")
	chosen := regexp.MustCompile(`(?m)^module='(.+)'$`).FindStringSubmatch(script)
	if chosen == nil {
		t.Fatal(".ci/arm64 names no tests of package module")
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
			t.Errorf("there is no test %s to skip", name)
		}
	}
	if len(strings.Fields(left)) == 0 {
		t.Error("the list of skipped tests is empty")
	}
}

// Tests that need the public schemas have publicSchema in their names, by which .ci/run
// names those that it skips.
func TestCI_namesTestsThatItSkips(t *testing.T) {
	named, found := regexp.MustCompile(`(?i)^Test\w*publicSchema`), 0
	needs := regexp.MustCompile(`schematest\.Load\(|checkPublic\(`)
	for _, file := range sources(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, function := range strings.Split(read(t, file), "\nfunc ")[1:] {
			name, body, _ := strings.Cut(function, "(")
			if !strings.HasPrefix(name, "Test") || !needs.MatchString(body) {
				continue
			}
			found++
			if !named.MatchString(name) || !strings.HasPrefix(file, "internal/") {
				t.Errorf("%s: %s needs the public schemas, and .ci/run would not name it", file, name)
			}
		}
	}
	if found < 6 {
		t.Errorf("%d tests need the public schemas", found)
	}
}

// .ci/run with make, go and apt-get that only say how they were called.
func TestCI_skipsSchemaTestsLoudlyOrNotAtAll(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		skipUnlessCI(t, "there is no bash")
	}
	folder := t.TempDir()
	for _, c := range []struct {
		name, schemas, env, want string
		code, skipped            int
	}{
		{name: "no folder", env: "none", code: 7, skipped: 2},
		{name: "told so", schemas: "none", env: "none", code: 7, skipped: 2},
		{name: "the folder", schemas: folder, env: folder, code: 7},
		{name: "a typo", schemas: folder + "x", want: "is no folder", code: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := runCI(t, c.schemas)
			if n := strings.Count(out, "TestTemplates_publicSchemas"); n != c.skipped || code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, tests named %d times:\n%s", code, n, out)
			}
			if called := "make ci with CI=true PUBLIC_SCHEMAS=" + c.env + "\n"; strings.Contains(out, called) != (c.code == 7) {
				t.Errorf("no %q in\n%s", called, out)
			}
		})
	}
}

// runCI runs a copy of .ci/run beside a copy of one test file. Its make ends with 7.
func runCI(t *testing.T, schemas string) (out string, code int) {
	t.Helper()
	dir := t.TempDir()
	stub := "#!/bin/sh\nexit 0\n"
	writeFiles(t, dir+"/clone", map[string]string{
		".ci/run": read(t, ".ci/run"), "internal/x_test.go": read(t, "internal/packaging/templates_test.go"),
		"bin/sudo": stub, "bin/apt-get": stub, "bin/go": stub, "bin/ldd": "#!/bin/sh\nexit 1\n",
		"bin/make": "#!/bin/sh\necho \"make $* with CI=$CI PUBLIC_SCHEMAS=$PUBLIC_SCHEMAS\"\nexit 7\n",
	})
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(dir, "clone/.ci/run"))
	cmd.Env = []string{"PATH=" + dir + "/clone/bin:" + os.Getenv("PATH"), "PUBLIC_SCHEMAS=" + schemas}
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// A test that a script runs by name exists: go test passes, and prints "no tests to run",
// if it does not.
func TestCI_runsTestsThatExist(t *testing.T) {
	scripts, err := fs.Glob(os.DirFS(top), ".ci/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, script := range scripts {
		for _, m := range regexp.MustCompile(`go test \./(\S+) -run (\S+)`).FindAllStringSubmatch(read(t, script), -1) {
			found++
			pattern, err := regexp.Compile(strings.Trim(m[2], `'"`))
			if err != nil || !slices.ContainsFunc(testsIn(t, m[1]), pattern.MatchString) {
				t.Errorf("%s runs %s, which matches no test in %s: %v", script, m[2], m[1], err)
			}
		}
	}
	if found == 0 {
		t.Error("no script runs a test by name")
	}
}

// testsIn returns the names of the tests in folders.
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

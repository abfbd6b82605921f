package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// section is one section of CHANGELOG.md.
type section struct {
	name, date string // Unreleased has no date
	groups     []string
}

var (
	sectionHeading = regexp.MustCompile(`^## \[(Unreleased|` + versionForm + `)\](?: - (\d{4}-\d{2}-\d{2}))?$`)
	changeGroups   = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
)

func changelog(t *testing.T) (sections []section) {
	t.Helper()
	for line := range strings.Lines(read(t, "CHANGELOG.md")) {
		line = strings.TrimSuffix(line, "\n")
		if m := sectionHeading.FindStringSubmatch(line); m != nil {
			sections = append(sections, section{name: m[1], date: m[2]})
			continue
		}
		if group, is := strings.CutPrefix(line, "### "); is && len(sections) > 0 {
			last := &sections[len(sections)-1]
			last.groups = append(last.groups, group)
		} else if strings.HasPrefix(line, "#") && line != "# Changelog" {
			t.Errorf("CHANGELOG.md has the heading %q", line)
		}
	}
	return sections
}

// The changelog has the form of Keep a Changelog, so that .ci/release finds its section.
func TestChangelog_form(t *testing.T) {
	sections := changelog(t)
	if len(sections) == 0 || sections[0].name != "Unreleased" {
		t.Fatalf("the first section is not Unreleased: %v", sections)
	}
	for _, s := range sections {
		if (s.date == "") != (s.name == "Unreleased") {
			t.Errorf("%s has the date %q", s.name, s.date)
		}
		for i, group := range s.groups {
			if !slices.Contains(changeGroups, group) || slices.Contains(s.groups[:i], group) {
				t.Errorf("%s has the group %s", s.name, group)
			}
		}
	}
	if len(sections) > 1 && sections[1].name != version(t) && len(sections[0].groups) == 0 {
		t.Errorf("VERSION has %s; the newest release is %s, and nothing is unreleased", version(t), sections[1].name)
	}
}

// The documents at the top name targets of make that exist, and link to files that exist.
func TestDocuments_atTheTop(t *testing.T) {
	for _, file := range []string{"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"} {
		text := read(t, file)
		targetsExist(t, strings.Join(regexp.MustCompile("`[^`\n]+`").FindAllString(text, -1), "\n"))
		for _, m := range regexp.MustCompile(`\]\(([\w./-]+)(#[\w-]+)?\)`).FindAllStringSubmatch(text, -1) {
			read(t, m[1])
		}
	}
}

// The sample workflow runs all that must hold, by the Go of go.mod, without secrets. make
// lint checks its form by actionlint.
func TestWorkflow(t *testing.T) {
	text := read(t, "deploy/ci/github.yml")
	golang := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	for _, want := range []string{"run: .ci/run\n", "image: golang:" + golang[1] + "-", "permissions:\n  contents: read\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, forbidden := range []string{"secrets.", "write", "pull_request_target"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("it has %q", forbidden)
		}
	}
	if !strings.Contains(read(t, "Makefile"), "go run $(ACTIONLINT) deploy/ci/*.yml\n") {
		t.Error("make lint does not check it")
	}
}

// release runs .ci/release in a folder that has it, these files and nothing else.
func release(t *testing.T, files map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	for _, tool := range []string{"bash", "git", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			skipUnlessCI(t, "there is no "+tool)
		}
	}
	dir := t.TempDir()
	writeFiles(t, dir, files)
	return releaseIn(t, dir, args...)
}

// writeFiles writes files that may be run, and the folders that they need.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// releaseIn runs a copy of .ci/release in dir, with programs of dir/stubs before others.
func releaseIn(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	writeFiles(t, dir, map[string]string{".ci/release": read(t, ".ci/release")})
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{dir + "/.ci/release"}, args...)...)
	// GIT_DIR: git's hooks set it to another clone.
	cmd.Env = append(os.Environ(), "GIT_DIR="+dir+"/.git", "PATH="+dir+"/stubs:"+os.Getenv("PATH"))
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

const sampleChangelog = `# Changelog

## [Unreleased]

### Added

- later

## [1.2.3] - 2026-11-29

### Added

- one line
- [a link](docs/TWIN.md)

## [1.2.30] - 2026-11-01

- other

[1.2.3]: https://example.com
`

func TestRelease_notesAreTheSectionOfTheVersion(t *testing.T) {
	for _, c := range []struct{ version, args, want, complaint string }{
		{"1.2.3", "--notes", "### Added\n\n- one line\n- [a link](docs/TWIN.md)\n", ""},
		{"1.2.30", "--notes", "- other\n", ""},
		{"1.2.4", "--notes", "", "no section ## [1.2.4]"},
		{"1.2.4", "", "", "no section ## [1.2.4]"},
		{"1.2.3", "", "", "is no clone"},
		{"1.2.4", "--draft", "", "is no clone"}, // it takes Unreleased
	} {
		t.Run(c.version+" "+c.args, func(t *testing.T) {
			stdout, stderr, code := release(t, map[string]string{"VERSION": c.version + "\n", "CHANGELOG.md": sampleChangelog},
				strings.Fields(c.args)...)
			if stdout != c.want || !strings.Contains(stderr, c.complaint) || (code == 0) != (c.complaint == "") {
				t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
			}
		})
	}
}

// A release is made of a clean clone whose tests pass, and of nothing else. Its checksums
// cover all files.
func TestRelease_needsTestsThatPass(t *testing.T) {
	for _, c := range []struct {
		name, tests, args, change string
		code                      int
		complaint                 string
	}{
		{name: "tests pass", tests: "exit 0"},
		{name: "tests fail", tests: "exit 3", code: 1, complaint: "the tests fail"},
		{name: "a modified clone", tests: "exit 0", change: "x", code: 1, complaint: "not committed"},
		{name: "a draft", tests: "exit 3", args: "--draft", change: "x", complaint: "no test has run"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{
				"VERSION": "1.2.3\n", "CHANGELOG.md": sampleChangelog, ".gitignore": "/bin/\n", "stubs/go": "#!/bin/sh\n",
				".ci/release": read(t, ".ci/release"), ".ci/run": "#!/bin/sh\n" + c.tests + "\n",
				".ci/image": "#!/bin/sh\necho image >$OUT/image.tar.gz\n", "bin/release/old": "",
			})
			for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x"}} {
				cmd := exec.CommandContext(t.Context(), "git", args...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_DIR="+dir+"/.git", "GIT_WORK_TREE="+dir)
				if out, err := cmd.CombinedOutput(); err != nil {
					skipUnlessCI(t, "git "+args[0]+" fails: "+string(out))
				}
			}
			writeFiles(t, dir, map[string]string{".gitignore": "/bin/\n" + c.change})
			_, stderr, code := releaseIn(t, dir, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stderr, c.complaint) {
				t.Fatalf("exit code %d, %s", code, stderr)
			}
			checkRelease(t, dir+"/bin/release", code == 0, c.args == "--draft")
		})
	}
}

// checkRelease checks the folder of a release: a new one if made, otherwise the old one.
func checkRelease(t *testing.T, dir string, made, draft bool) {
	t.Helper()
	if _, err := os.Stat(dir + "/old"); (err == nil) == made {
		t.Errorf("the old release is there: %t, a new one is made: %t", err == nil, made)
	}
	if !made {
		return
	}
	sums, err := os.ReadFile(dir + "/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 6 || bytes.Count(sums, []byte("\n")) != 5 {
		t.Errorf("files %v, %v, checksums\n%s", files, err, sums)
	}
	notes, err := os.ReadFile(dir + "/RELEASE_NOTES.md")
	if err != nil || !bytes.Contains(notes, []byte("- one line\n")) || bytes.Contains(notes, []byte("Do not publish")) != draft {
		t.Errorf("%v: %s", err, notes)
	}
}

func TestRelease_arguments(t *testing.T) {
	if stdout, _, code := release(t, nil, "--help"); code != 0 || !strings.HasPrefix(stdout, "usage: make release") {
		t.Errorf("--help: exit code %d, %q", code, stdout)
	}
	for _, args := range [][]string{{"--fast"}, {"--draft", "--notes"}} {
		if stdout, stderr, code := release(t, nil, args...); code != 2 || stdout != "" || !strings.Contains(stderr, "usage: ") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// The module among the programs is built with the flags of the Dockerfiles, and nothing is
// pushed.
func TestRelease_buildsAsTheDockerfilesDo(t *testing.T) {
	script := read(t, ".ci/release")
	linked := regexp.MustCompile(`-X rtsptunnel/internal/base/buildinfo\.\w+=`)
	want, got := linked.FindAllString(read(t, "Dockerfile.amd64"), -1), linked.FindAllString(script, -1)
	if !slices.Equal(want, got) || len(want) == 0 {
		t.Errorf("the Dockerfiles link %q, and .ci/release %q", want, got)
	}
	for _, want := range []string{"CGO_ENABLED=0", " -trimpath ", " -buildvcs=false ", `"-s -w `} {
		if !strings.Contains(script, want) {
			t.Errorf(".ci/release is without %s", want)
		}
	}
	for _, forbidden := range []string{"push", "upload", "git tag"} {
		if regexp.MustCompile(`(?m)^\s*[^#\s].*\b` + forbidden + `\b`).MatchString(withoutTexts(script)) {
			t.Errorf(".ci/release runs %s", forbidden)
		}
	}
}

// withoutTexts is a script without here-documents and quoted text.
func withoutTexts(script string) string {
	script = regexp.MustCompile(`(?s)<<'TEXT'\n.*?\nTEXT\n`).ReplaceAllString(script, "\n")
	return regexp.MustCompile(`"[^"\n]*"|'[^'\n]*'`).ReplaceAllString(script, "''")
}

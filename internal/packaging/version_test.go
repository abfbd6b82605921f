package packaging_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// versionForm is a version as IoT Edge's tools accept it in an image's tag.
const versionForm = `\d+\.\d+\.\d+(?:-[a-z0-9.]+)?`

// version is the content of the file VERSION.
func version(t *testing.T) string {
	t.Helper()
	text := read(t, "VERSION")
	v := strings.TrimSuffix(text, "\n")
	if text != v+"\n" || !regexp.MustCompile(`^`+versionForm+`$`).MatchString(v) {
		t.Fatalf("VERSION holds %q, want one line with MAJOR.MINOR.PATCH", text)
	}
	return v
}

// next is the version that deploy/README.md upgrades to in its example.
func next(t *testing.T) string {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(version(t), "%d.%d.", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d.0", major, minor+1)
}

// namesVersion lists the files that name the module's version, each with the expression
// that finds it there. A release changes VERSION and what this test then reports.
var namesVersion = []struct{ file, expression string }{
	{"modules/rtsptunnel/module.json", `"version": "(.*)"`},
	{"Dockerfile.amd64", `(?m)^ARG VERSION=(.*)$`},
	{"Dockerfile.arm64v8", `(?m)^ARG VERSION=(.*)$`},
	{"Dockerfile.arm32v7", `(?m)^ARG VERSION=(.*)$`},
	{"deployment.template.json", `"version": "(.*)"`},
	{"deployment.debug.template.json", `"version": "(.*)"`},
	{"deployment.layered.template.json", `"version": "(.*)"`},
	{"deploy/rtsptunnel-amd64.json", `"version": "(.*)"`},
	{"deploy/rtsptunnel-arm64v8.json", `"version": "(.*)"`},
	{"deploy/rtsptunnel-arm32v7.json", `"version": "(.*)"`},
	{"deploy/bridge-amd64.json", `"version": "(.*)"`},
	{"deploy/README.md", `sed 's/:([^/]*)-/`},
	{"deploy/README.md", `s/"version": "([^"]*)"/`},
}

func TestVersion_isTheSameEverywhere(t *testing.T) {
	want := version(t)
	for _, c := range namesVersion {
		found := regexp.MustCompile(c.expression).FindAllStringSubmatch(read(t, c.file), -1)
		if len(found) == 0 {
			t.Errorf("%s does not match %s", c.file, c.expression)
		}
		for _, m := range found {
			if got := strings.ReplaceAll(m[1], `\.`, "."); got != want {
				t.Errorf("%s has version %s, and VERSION has %s", c.file, got, want)
			}
		}
	}
}

// An image's tag names the version in every text file of the repository, except in the
// fixtures of tests.
func TestVersion_ofImagesIsTheSameEverywhere(t *testing.T) {
	tag := regexp.MustCompile(`rtsptunnel:(` + versionForm + `)-(?:amd64|arm64v8|arm32v7)`)
	found := 0
	for _, file := range sources(t) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range tag.FindAllStringSubmatch(read(t, file), -1) {
			found++
			if m[1] != version(t) {
				t.Errorf("%s names the image %s, and VERSION has %s", file, m[0], version(t))
			}
		}
	}
	if found < 5 {
		t.Errorf("%d images are named", found)
	}
}

// The scripts that name images read VERSION, so that a release changes no script.
func TestVersion_isReadByScripts(t *testing.T) {
	for _, script := range []string{".ci/image", ".ci/image-test", ".ci/release"} {
		if !strings.Contains(read(t, script), "$(<VERSION)") {
			t.Errorf("%s does not read VERSION", script)
		}
	}
}

// sources are the repository's files, without what builds and tools leave in it.
func sources(t *testing.T) (files []string) {
	t.Helper()
	left := []string{".git", ".work", "bin", "config", "hub", "test/sdk/node_modules"}
	err := fs.WalkDir(os.DirFS(top), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains(left, path) || entry.Name() == "testdata"):
			return fs.SkipDir
		case entry.Type().IsRegular() && entry.Name() != ".git":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

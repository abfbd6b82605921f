// Package archtest holds the import rules of the project, as a test: see
// rules_test.go. It reads the sources in this process, not by a child, so that Go's
// test cache notices when they change.
package archtest_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	prefix = "rtsptunnel/"
)

// tops are the folders with packages.
var tops = []string{"bench", "cmd", "images", "internal", "modules"}

// imports maps each of our packages to what its non-test files import.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			pkg := name(prefix + filepath.ToSlash(dir))
			if strings.HasSuffix(path, "_test.go") {
				found[pkg] = append(found[pkg], nil...)
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, i := range f.Imports {
				imported, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				found[pkg] = append(found[pkg], imported)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// name is a package as the rules write it.
func name(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, prefix), "internal/")
}

func ours(path string) bool { return strings.HasPrefix(path, prefix) }

func TestImports_areAllowed(t *testing.T) {
	for pkg, imported := range imports(t) {
		allowed, known := mayImport[pkg]
		if !known {
			t.Errorf("package %s is not in mayImport: what may it import, and why is it there?", pkg)
			continue
		}
		for _, path := range imported {
			if ours(path) && !slices.Contains(allowed, name(path)) {
				t.Errorf("%s imports %s, which mayImport does not allow", pkg, name(path))
			}
		}
	}
}

// A rule for a package that is gone, or an arrow that nobody draws, is a lie.
func TestRules_areAllUsed(t *testing.T) {
	found := imports(t)
	for pkg, allowed := range mayImport {
		imported, exists := found[pkg]
		if !exists {
			t.Errorf("mayImport has %s, which does not exist", pkg)
			continue
		}
		for _, a := range allowed {
			if !slices.ContainsFunc(imported, func(path string) bool { return ours(path) && name(path) == a }) {
				t.Errorf("mayImport lets %s import %s, which it does not", pkg, a)
			}
		}
	}
}

func TestLibraries_stayAtHome(t *testing.T) {
	found := imports(t)
	for library, homes := range onlyIn {
		used := false
		for pkg, imported := range found {
			for _, path := range imported {
				if path != library && !strings.HasPrefix(path, library+"/") {
					continue
				}
				used = true
				if !slices.Contains(homes, pkg) {
					t.Errorf("%s imports %s, whose home is %v", pkg, path, homes)
				}
			}
		}
		if !used {
			t.Errorf("onlyIn has %s, which nobody imports", library)
		}
	}
}

func TestBinaries_staySmall(t *testing.T) {
	found := imports(t)
	for binary, forbidden := range never {
		for _, path := range reach(found, binary) {
			for _, f := range forbidden {
				if path == f || strings.HasPrefix(path, f+"/") {
					t.Errorf("%s reaches %s", binary, path)
				}
			}
		}
	}
}

func TestTestPackages_stayInTests(t *testing.T) {
	for pkg, imported := range imports(t) {
		for _, path := range imported {
			if ours(path) && slices.Contains(forTests, name(path)) {
				t.Errorf("%s imports %s, which is for tests", pkg, name(path))
			}
		}
	}
}

// reach is everything that pkg imports, through our own packages.
func reach(found map[string][]string, pkg string) []string {
	seen := map[string]bool{}
	todo := []string{pkg}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		for _, path := range found[next] {
			if !seen[path] && ours(path) {
				todo = append(todo, name(path))
			}
			seen[path] = true
		}
	}
	all := make([]string, 0, len(seen))
	for path := range seen {
		all = append(all, path)
	}
	return all
}

func TestPurePackages(t *testing.T) {
	found := imports(t)
	for pkg, exceptions := range pure {
		if found[pkg] == nil {
			t.Errorf("pure has %s, which does not exist", pkg)
		}
		for _, path := range found[pkg] {
			if slices.Contains(impure, path) && !slices.Contains(exceptions, path) {
				t.Errorf("%s is pure and imports %s", pkg, path)
			}
		}
	}
}

// Nothing turns verification off, in the product or in a test.
func TestNoUnverifiedTLS(t *testing.T) {
	off := regexp.MustCompile(`Insecure` + `SkipVerify\s*(:|=[^=])`)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if line := off.Find(b); line != nil {
			t.Errorf("%s has %q in it", path, line)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Each folder has exactly one package comment, in the file of the package's name or
// in main.go.
func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	for pkg := range imports(t) {
		comments[pkg] = 0
	}
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			if f.Doc != nil {
				dir, err := filepath.Rel(root, filepath.Dir(path))
				if err != nil {
					return err
				}
				comments[name(prefix+filepath.ToSlash(dir))]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, n)
		}
	}
}

// Package archtest holds the rules about the source tree, as tests: which wing and
// which package may import which (wings_test.go, packages_test.go), where a library may
// be imported (libraries_test.go), which words the prose avoids (words_test.go), and
// which tests the documents name (documents_test.go).
//
// The tests read the sources in this process. A child process would hide the files from
// Go's test cache, which would then repeat an old result after a change.
package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
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
var tops = []string{"bench", "cmd", "images", "internal", "modules", "test"}

// sources calls read with each Go file below tops, its package as the rules write it,
// and the file's syntax as far as mode asks for it.
func sources(t *testing.T, mode parser.Mode, read func(path, pkg string, f *ast.File)) {
	t.Helper()
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
			if err != nil {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			read(path, short(prefix+filepath.ToSlash(dir)), f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// imports maps each of our packages to what its non-test files import.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	sources(t, parser.ImportsOnly, func(path, pkg string, f *ast.File) {
		found[pkg] = append(found[pkg], nil...)
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, i := range f.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[pkg] = append(found[pkg], imported)
		}
	})
	return found
}

// short is an import path of ours as the rules write it: below the module's root, and
// without "internal/".
func short(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, prefix), "internal/")
}

func ours(path string) bool { return strings.HasPrefix(path, prefix) }

// within tells whether path is parent or below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// wingOf is the wing of a package, empty if the package is not below internal.
func wingOf(importPath string) string {
	below, ok := strings.CutPrefix(importPath, prefix+"internal/")
	if !ok {
		return ""
	}
	top, _, _ := strings.Cut(below, "/")
	return top
}

// reach is everything that pkg imports, directly or through our own packages.
func reach(found map[string][]string, pkg string) []string {
	seen := map[string]bool{}
	todo := []string{pkg}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		for _, path := range found[next] {
			if !seen[path] && ours(path) {
				todo = append(todo, short(path))
			}
			seen[path] = true
		}
	}
	all := make([]string, 0, len(seen))
	for path := range seen {
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

// Each folder has exactly one package comment.
func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	sources(t, parser.PackageClauseOnly|parser.ParseComments, func(_, pkg string, f *ast.File) {
		comments[pkg] += 0
		if f.Doc != nil {
			comments[pkg]++
		}
	})
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want 1", pkg, n)
		}
	}
}

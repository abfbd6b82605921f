package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var namedTest = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)\\w+)`")

// Each test that these documents name exists, and each line of a table of proofs has
// one or says "not yet".
func TestContract_namesTests(t *testing.T) {
	for _, document := range []string{"CONTRACT.md", "RELIABILITY.md"} {
		t.Run(document, func(t *testing.T) { namesTests(t, "docs/"+document) })
	}
}

func namesTests(t *testing.T, document string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]map[string]bool{} // by package
	for _, m := range namedTest.FindAllStringSubmatch(string(b), -1) {
		pkg, name := m[1], m[2]
		if functions[pkg] == nil {
			functions[pkg] = testFunctions(t, pkg)
		}
		if !functions[pkg][name] {
			t.Errorf("%s names %s.%s, which does not exist", document, pkg, name)
		}
	}
	proved := false // inside a table with a column of proofs
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.HasSuffix(line, "| proved by |\n"):
			proved = true
		case !strings.HasPrefix(line, "|"):
			proved = false
		case proved && !strings.HasPrefix(line, "|--") && !namedTest.MatchString(line) && !strings.Contains(line, "**not yet**"):
			t.Errorf("%s: neither a test nor \"not yet\": %s", document, line)
		}
	}
}

// testFunctions are the functions in the tests of the package, in whichever wing it is.
func testFunctions(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") || filepath.Base(filepath.Dir(path)) != pkg {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("no tests of package %s, %v", pkg, err)
	}
	return names
}

package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
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
			functions[pkg] = testFunctions(t, filepath.Join(root, "internal", pkg))
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

func testFunctions(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s, %v", dir, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

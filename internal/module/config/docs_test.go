package config_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module/config"
)

// What Go's packages read: httpproxy's rules and crypto/x509's roots.
var standard = []string{"https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// Each variable that is read is in the list, from which --help and the first log
// lines are made, and each that is in the list is read.
func TestVariables_areAllRead(t *testing.T) {
	read := slices.Concat(config.OwnFields(t), config.InjectedFields(t), readDirectly(t), standard)
	var listed []string
	for _, v := range config.Variables {
		listed = append(listed, v.Name)
	}
	slices.Sort(read)
	slices.Sort(listed)
	if d := cmp.Diff(read, listed); d != "" {
		t.Errorf("variables read (-) and listed (+):\n%s", d)
	}
}

// The table of docs/RUNNING.md is the list, with the same defaults.
func TestRunning_namesEveryVariable(t *testing.T) {
	text, err := os.ReadFile("../../../docs/RUNNING.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ name, standard string }
	var listed, documented []row
	for _, v := range config.Variables {
		listed = append(listed, row{v.Name, v.Default})
	}
	_, table, _ := bytes.Cut(text, []byte("\n| name | default |"))
	for line := range bytes.Lines(table) {
		if !bytes.HasPrefix(line, []byte("|")) && len(documented) > 0 {
			break
		}
		if m := regexp.MustCompile("^\\| `(\\w+)` \\| ([^|]+) \\|").FindSubmatch(line); m != nil {
			documented = append(documented, row{string(m[1]), strings.Trim(string(m[2]), "`")})
		}
	}
	if d := cmp.Diff(listed, documented, cmp.AllowUnexported(row{})); d != "" {
		t.Errorf("variables listed (-) and documented in docs/RUNNING.md (+):\n%s", d)
	}
}

// readDirectly are the variables that the package reads past envconfig.
func readDirectly(t *testing.T) []string {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if fn, ok := call.Fun.(*ast.SelectorExpr); ok && (fn.Sel.Name == "Getenv" || fn.Sel.Name == "LookupEnv") {
				name, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				names[name] = true
			}
			return true
		})
	}
	return slices.Collect(maps.Keys(names))
}

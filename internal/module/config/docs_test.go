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

// readByGo lists the variables that Go's packages read: httpproxy and crypto/x509.
var readByGo = []string{"https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// Variables, from which --help and the first log lines come, lists exactly the variables
// that the module reads.
func TestVariables_areAllRead(t *testing.T) {
	read := slices.Concat(config.OwnFields(t), config.InjectedFields(t), readDirectly(t), readByGo)
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

// The table in docs/RUNNING.md has the variables of the list, with the same defaults.
func TestRunning_namesEveryVariable(t *testing.T) {
	text, err := os.ReadFile("../../../docs/RUNNING.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ name, defaultValue string }
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

// readDirectly returns the variables that the package reads without envconfig.
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

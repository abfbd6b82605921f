package archtest_test

import (
	"go/ast"
	"go/parser"
	"os"
	"regexp"
	"slices"
	"testing"
)

func TestWings_importOnlyWhatTheyMay(t *testing.T) {
	used := map[[2]string]bool{}
	for pkg, imported := range imports(t) {
		from := wingOf(prefix + "internal/" + pkg)
		if _, known := mayImport[pkg]; known && !isInternal(pkg) {
			continue // programs stand on top of the wings
		}
		rule, known := wings[from]
		if !known {
			t.Errorf("package %s is in no wing", pkg)
			continue
		}
		for _, path := range imported {
			to := wingOf(path)
			if to == "" || to == from {
				continue
			}
			used[[2]string{from, to}] = true
			if !slices.Contains(rule.imports, to) {
				t.Errorf("%s imports %s: wing %s may not import wing %s", pkg, short(path), from, to)
			}
		}
	}
	for name, rule := range wings {
		for _, to := range rule.imports {
			if !used[[2]string{name, to}] {
				t.Errorf("wing %s may import wing %s, and no package does", name, to)
			}
		}
	}
}

// isInternal tells whether a package, as the rules write it, is below internal.
func isInternal(pkg string) bool {
	return !slices.ContainsFunc([]string{"bench", "cmd", "images", "modules", "test"}, func(top string) bool { return within(pkg, top) })
}

// A circle between wings would let every wing reach every other.
func TestWings_haveNoCircle(t *testing.T) {
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("wings import each other in a circle: %v", append(path, name))
		}
		for _, to := range wings[name].imports {
			visit(to, append(path, name))
		}
	}
	for name := range wings {
		visit(name, nil)
	}
}

func TestBarriers_hold(t *testing.T) {
	found := imports(t)
	exists := map[string]bool{}
	for pkg := range found {
		for _, path := range append(reach(found, pkg), prefix+pkg, prefix+"internal/"+pkg) {
			for _, b := range barriers {
				for _, forbidden := range b.reach {
					exists[forbidden] = exists[forbidden] || within(path, forbidden)
				}
			}
		}
	}
	for _, b := range barriers {
		checkBarrier(t, found, b)
		for _, forbidden := range b.reach {
			if !exists[forbidden] {
				t.Errorf("the barrier of %s names %s, which no package is or imports", b.of, forbidden)
			}
		}
	}
}

func checkBarrier(t *testing.T, found map[string][]string, b barrier) {
	t.Helper()
	applies := false
	for pkg := range found {
		if !within(pkg, b.of) {
			continue
		}
		applies = true
		for _, path := range reach(found, pkg) {
			if slices.ContainsFunc(b.reach, func(forbidden string) bool { return within(path, forbidden) }) {
				t.Errorf("%s reaches %s: %s", pkg, path, b.why)
			}
		}
	}
	if !applies {
		t.Errorf("there is a barrier for %s, which does not exist", b.of)
	}
}

func TestPackages_importOnlyWhatTheyMay(t *testing.T) {
	found := imports(t)
	for pkg, imported := range found {
		rule, known := mayImport[pkg]
		if !known {
			t.Errorf("package %s is not in mayImport: what may it import, and why is it there?", pkg)
			continue
		}
		for _, path := range imported {
			if ours(path) && !slices.Contains(rule.imports, short(path)) {
				t.Errorf("%s imports %s, which mayImport does not allow", pkg, short(path))
			}
		}
	}
	for pkg, rule := range mayImport {
		imported, exists := found[pkg]
		if !exists {
			t.Errorf("mayImport has %s, which does not exist", pkg)
			continue
		}
		for _, allowed := range rule.imports {
			if !slices.ContainsFunc(imported, func(path string) bool { return ours(path) && short(path) == allowed }) {
				t.Errorf("mayImport lets %s import %s, which it does not", pkg, allowed)
			}
		}
	}
}

// The reason is what a reviewer judges a rule by.
func TestRules_haveReasons(t *testing.T) {
	for name, rule := range wings {
		if rule.why == "" {
			t.Errorf("wing %s has no reason", name)
		}
	}
	for _, b := range barriers {
		if b.why == "" {
			t.Errorf("the barrier of %s has no reason", b.of)
		}
	}
	for pkg, rule := range mayImport {
		if rule.why == "" {
			t.Errorf("package %s has no reason", pkg)
		}
	}
	for library, rule := range onlyIn {
		if rule.why == "" {
			t.Errorf("library %s has no reason", library)
		}
	}
}

func TestLibraries_stayAtHome(t *testing.T) {
	found := imports(t)
	for library, rule := range onlyIn {
		used := map[string]bool{}
		for pkg, imported := range found {
			if !slices.ContainsFunc(imported, func(path string) bool { return within(path, library) }) {
				continue
			}
			used[pkg] = true
			if !slices.Contains(rule.homes, pkg) {
				t.Errorf("%s imports %s, whose home is %v", pkg, library, rule.homes)
			}
		}
		for _, home := range rule.homes {
			if !used[home] {
				t.Errorf("onlyIn lets %s import %s, which it does not", home, library)
			}
		}
	}
}

func TestTestPackages_stayInTests(t *testing.T) {
	for pkg, imported := range imports(t) {
		for _, path := range imported {
			if ours(path) && slices.Contains(forTests, short(path)) && !slices.Contains(forTests, pkg) {
				t.Errorf("%s imports %s, which is for tests", pkg, short(path))
			}
		}
	}
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

// No code turns TLS verification off, in the product or in a test.
func TestNoUnverifiedTLS(t *testing.T) {
	off := regexp.MustCompile(`Insecure` + `SkipVerify\s*(:|=[^=])`)
	sources(t, parser.PackageClauseOnly, func(path, _ string, _ *ast.File) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if line := off.Find(b); line != nil {
			t.Errorf("%s has %q in it", path, line)
		}
	})
}

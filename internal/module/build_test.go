package module_test

import (
	"testing"

	"rtsptunnel/internal/module"
)

// The linker's values override those of the repository.
func TestThisBuild_linkerOverrides(t *testing.T) {
	if b := module.ThisBuild(); b.Version != "dev" || b.Commit == "" || b.Date == "" {
		t.Errorf("a test is %+v", b)
	}
	module.Version, module.Commit, module.Date = "1.2.3", "abc", "2026-11-22T03:42:20Z"
	t.Cleanup(func() { module.Version, module.Commit, module.Date = "dev", "", "" })
	if b := module.ThisBuild(); b.Version != "1.2.3" || b.Commit != "abc" || b.Date != "2026-11-22T03:42:20Z" {
		t.Errorf("with the linker's values it is %+v", b)
	}
}

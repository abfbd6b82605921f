package buildinfo_test

import (
	"runtime"
	"testing"

	"rtsptunnel/internal/base/buildinfo"
)

func TestRead(t *testing.T) {
	i := buildinfo.Read("kitchen")
	if i.Program != "kitchen" || i.Version != "dev" || i.Commit == "" || i.Date == "" || i.Go != runtime.Version() {
		t.Errorf("read %+v", i)
	}
	i.Commit, i.Date = "abc", "2026-01-02T03:04:05Z"
	want := "kitchen dev, commit abc of 2026-01-02T03:04:05Z, " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	if got := i.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	i.Commit, i.Date = "unknown", "unknown"
	want = "kitchen dev, commit unknown, " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH
	if got := i.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The linker's values override those of the repository.
func TestRead_linkerOverrides(t *testing.T) {
	buildinfo.Version, buildinfo.Commit, buildinfo.Date = "1.2.3", "abc", "2026-11-22T03:42:20Z"
	t.Cleanup(func() { buildinfo.Version, buildinfo.Commit, buildinfo.Date = "dev", "", "" })
	if i := buildinfo.Read("kitchen"); i.Version != "1.2.3" || i.Commit != "abc" || i.Date != "2026-11-22T03:42:20Z" {
		t.Errorf("with the linker's values it is %+v", i)
	}
}

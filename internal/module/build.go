package module

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets these in an image, by -X: its sources are in no repository.
var (
	Version = "dev"
	Commit  string
	Date    string
)

// Build says from which sources and for which platform a binary was built.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // "unknown" if neither the linker nor a repository has set it
	Date    string `json:"date"`   // of the commit, so that builds are reproducible; "unknown" as for Commit
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// ThisBuild returns the build of the running binary.
func ThisBuild() Build {
	vcs := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			vcs[s.Key] = s.Value
		}
	}
	b := Build{
		Version: Version, Commit: cmp.Or(Commit, vcs["vcs.revision"], "unknown"), Date: cmp.Or(Date, vcs["vcs.time"], "unknown"),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if vcs["vcs.modified"] == "true" && Commit == "" {
		b.Commit += "-modified"
	}
	if b.Arch == "arm" {
		b.Arch += "/v" + cmp.Or(vcs["GOARM"], "?")
	}
	return b
}

// String returns one line without a newline.
func (b Build) String() string {
	return fmt.Sprintf("rtsptunnel %s, commit %s of %s, %s, %s/%s", b.Version, b.Commit, b.Date, b.Go, b.OS, b.Arch)
}

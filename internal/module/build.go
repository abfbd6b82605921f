package module

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is the program's, set by -ldflags in an image.
var Version = "dev"

// Build is what this binary was made of.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // unknown if it was not built in its repository
	Date    string `json:"date"`   // of the commit, since the same sources make the same binary
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// ThisBuild is the running binary's.
func ThisBuild() Build {
	vcs := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			vcs[s.Key] = s.Value
		}
	}
	b := Build{
		Version: Version, Commit: cmp.Or(vcs["vcs.revision"], "unknown"), Date: cmp.Or(vcs["vcs.time"], "unknown"),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if vcs["vcs.modified"] == "true" {
		b.Commit += "-modified"
	}
	if b.Arch == "arm" {
		b.Arch += "/v" + cmp.Or(vcs["GOARM"], "?")
	}
	return b
}

// String is one line.
func (b Build) String() string {
	return fmt.Sprintf("rtsptunnel %s, commit %s of %s, %s, %s/%s", b.Version, b.Commit, b.Date, b.Go, b.OS, b.Arch)
}

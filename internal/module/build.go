package module

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// What the linker sets in an image, by -X: its sources have no repository to ask.
var (
	Version = "dev"
	Commit  string
	Date    string
)

// Build is what this binary was made of.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // unknown if it was built outside its repository, and not told
	Date    string `json:"date"`   // of the commit, since the same sources make the same binary; or as told
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

// String is one line.
func (b Build) String() string {
	return fmt.Sprintf("rtsptunnel %s, commit %s of %s, %s, %s/%s", b.Version, b.Commit, b.Date, b.Go, b.OS, b.Arch)
}

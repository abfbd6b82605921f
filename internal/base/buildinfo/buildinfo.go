// Package buildinfo reads the version, commit and platform of the running binary. Without
// linker flags the version is dev, and the commit comes from Go's own build information.
package buildinfo

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets these in images and releases, by -X.
var (
	Version = "dev"
	Commit  string
	Date    string
)

// unknown stands for a commit or a date that neither the linker nor a repository has set.
const unknown = "unknown"

// Info describes a binary. A commit or date that is not known is "unknown".
type Info struct {
	Program string `json:"-"`
	Version string `json:"version"`
	Commit  string `json:"commit"` // ends in -modified if the sources were changed
	Date    string `json:"date"`   // of the commit, in RFC 3339
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// Read returns the information about the running binary.
func Read(program string) Info {
	vcs := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			vcs[s.Key] = s.Value
		}
	}
	i := Info{
		Program: program, Version: Version,
		Commit: cmp.Or(Commit, vcs["vcs.revision"], unknown), Date: cmp.Or(Date, vcs["vcs.time"], unknown),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
	if vcs["vcs.modified"] == "true" && Commit == "" {
		i.Commit += "-modified"
	}
	if i.Arch == "arm" {
		i.Arch += "/v" + cmp.Or(vcs["GOARM"], "?")
	}
	return i
}

// String returns one line for people.
func (i Info) String() string {
	commit := "commit " + i.Commit
	if i.Date != unknown {
		commit += " of " + i.Date
	}
	return fmt.Sprintf("%s %s, %s, %s, %s/%s", i.Program, i.Version, commit, i.Go, i.OS, i.Arch)
}

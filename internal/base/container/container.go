// Package container fits the program into the memory that its container gives it. A
// line belongs here when it concerns the limits of the operating system's control
// groups, or what the garbage collector makes of them.
package container

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent keeps little garbage beside little that lives: an edge module's
	// memory is small and its data path makes no garbage.
	gcPercent = 20
	goPercent = 100 // is Go's own
	share     = 0.9 // of the limit is the heap's: the rest is for what the collector does not count
)

// FitMemory makes the garbage collector leave less behind, and keep the program
// within its container's limit, in bytes, which it returns; 0 if there is none. What
// GOGC or GOMEMLIMIT say stays in force. root is the file system from its root on.
func FitMemory(root fs.FS) (limit int64) {
	if old := debug.SetGCPercent(gcPercent); old != goPercent {
		debug.SetGCPercent(old)
	}
	limit = memoryLimit(root)
	if limit > 0 && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(int64(share * float64(limit)))
	}
	return limit
}

// unlimited is what version 1 of control groups says for no limit, less a page of
// any size.
const unlimited = math.MaxInt64 - 1<<20

// memoryLimit is the least of the limits of the program's control group and of those
// above it, 0 if there is none. In a container the group is often mounted as if it
// were the topmost, whatever its name.
func memoryLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(unlimited)
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		base, file := "sys/fs/cgroup", "memory.max"
		if controllers != "" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		if controllers != "" && !strings.Contains(","+controllers+",", ",memory,") {
			continue
		}
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			least = min(least, readLimit(root, path.Join(base, at, file)))
			if at == "/" {
				break
			}
		}
	}
	if least == unlimited {
		return 0
	}
	return least
}

func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return unlimited
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n <= 0 { // "max"
		return unlimited
	}
	return n
}

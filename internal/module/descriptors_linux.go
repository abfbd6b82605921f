package module

import (
	"math"
	"syscall"
)

// openFilesLimit returns this process's limit of open files. Go has raised it to the hard
// limit at start.
func openFilesLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil { // cannot fail with valid arguments
		return math.MaxUint64
	}
	return limit.Cur
}

package module

import (
	"math"
	"runtime/debug"
)

// The settings of the garbage collector, unless GOGC or GOMEMLIMIT set others.
const (
	gcPercent        = 20 // keeps the heap small; the data path allocates nothing, so collections are rare
	defaultGCPercent = 100
	heapShare        = 0.9 // of the container's limit; the rest is for memory that the collector does not count
)

// fitMemory sets the garbage collector's percentage, and its limit to a share of the
// bytes that limit returns. An error means that there is no limit. Values from GOGC and
// GOMEMLIMIT stay in force.
func fitMemory(limit func() (bytes uint64, err error)) {
	if old := debug.SetGCPercent(gcPercent); old != defaultGCPercent {
		debug.SetGCPercent(old)
	}
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if bytes, err := limit(); err == nil && bytes > 0 && bytes < math.MaxInt64 {
		debug.SetMemoryLimit(int64(heapShare * float64(bytes)))
	}
}

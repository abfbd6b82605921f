//go:build !linux

package module

import "math"

// openFilesLimit returns no limit: the module reads Linux's only.
func openFilesLimit() uint64 { return math.MaxUint64 }

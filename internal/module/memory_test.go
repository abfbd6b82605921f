package module_test

import (
	"errors"
	"math"
	"runtime/debug"
	"testing"

	"rtsptunnel/internal/module"
)

func TestFitMemory(t *testing.T) {
	const gib = 1 << 30
	for name, c := range map[string]struct {
		percent  int    // before
		inForce  int64  // before, bytes
		limit    uint64 // bytes
		err      error
		percents int
		want     int64
	}{
		"limited":              {100, math.MaxInt64, 40 * gib, nil, 20, 36 * gib},
		"unlimited":            {100, math.MaxInt64, 0, errors.New("memory is not limited"), 20, math.MaxInt64},
		"nonsense":             {100, math.MaxInt64, math.MaxUint64, nil, 20, math.MaxInt64},
		"zero":                 {100, math.MaxInt64, 0, nil, 20, math.MaxInt64},
		"GOGC and GOMEMLIMIT":  {77, 50 * gib, 40 * gib, nil, 77, 50 * gib},
		"GOMEMLIMIT, no limit": {100, 50 * gib, 0, errors.New("memory is not limited"), 20, 50 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			percent, limit := debug.SetGCPercent(c.percent), debug.SetMemoryLimit(c.inForce)
			defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
			module.FitMemory(func() (uint64, error) { return c.limit, c.err })
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("the collector's limit is %d, want %d", got, c.want)
			}
			if got := debug.SetGCPercent(100); got != c.percents {
				t.Errorf("the collector's percentage is %d, want %d", got, c.percents)
			}
		})
	}
}

package module

import (
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/module/twin"
)

// liveLevel is the least level of lines that are written, which may change at any time:
// a zerolog.Sampler, which is asked before anything is made of a line.
type liveLevel struct {
	environment string // the level that the environment names
	least       atomic.Int32
}

// newLiveLevel is RuntimeLogLevel's; info if it says nothing, and if it says something
// else, which known tells.
func newLiveLevel(runtimeLogLevel string) (l *liveLevel, known bool) {
	l = &liveLevel{environment: strings.ToLower(runtimeLogLevel)}
	if _, known = logLevel(l.environment); !known || l.environment == "" {
		l.environment = "info"
	}
	l.set(l.environment)
	return l, known
}

// set takes one of edge agent's names.
func (l *liveLevel) set(name string) {
	level, _ := logLevel(name)
	l.least.Store(int32(level))
}

// Sample tells whether a line of that level is written.
func (l *liveLevel) Sample(level zerolog.Level) bool { return int32(level) >= l.least.Load() }

// logLevel is the name of the level to be in force: the twin's, or if it has none the
// environment's; with a fault it stays. The caller holds mu.
func (m *module) logLevel(next twin.Settings, o twin.Outcome) string {
	faulty := len(o.In("log")) > 0 && m.inForce != nil
	if faulty || o.IsTaken("log/level") {
		return next.Log.Level
	}
	return m.level.environment
}

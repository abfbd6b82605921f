package module

import (
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/module/twin"
)

// levelSampler is a zerolog.Sampler that drops lines below a level, which can change at
// any time. zerolog asks it before it formats a line.
type levelSampler struct {
	environment string       // the name of the environment's level
	least       atomic.Int32 // a zerolog.Level
}

// newLevelSampler takes the value of RuntimeLogLevel. The level is info if the value is
// empty, or not a level: then known is false.
func newLevelSampler(runtimeLogLevel string) (s *levelSampler, known bool) {
	s = &levelSampler{environment: strings.ToLower(runtimeLogLevel)}
	if _, known = parseLevel(s.environment); !known || s.environment == "" {
		s.environment = "info"
	}
	s.set(s.environment)
	return s, known
}

// set changes the level to one of edge agent's names.
func (s *levelSampler) set(name string) {
	level, _ := parseLevel(name)
	s.least.Store(int32(level))
}

// Sample tells whether a line of that level is written.
func (s *levelSampler) Sample(level zerolog.Level) bool { return int32(level) >= s.least.Load() }

// levelInForce returns the name of the level: the twin's, else the environment's. A
// fault in the section log keeps the present level. The caller holds mu.
func (m *module) levelInForce(next twin.Settings, o twin.Outcome) string {
	faulty := len(o.In("log")) > 0 && m.inForce != nil
	if faulty || o.IsTaken("log/level") {
		return next.Log.Level
	}
	return m.level.environment
}

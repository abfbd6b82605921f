package edge

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// hint is the library's dispatcher of desired patches. They arrive out of order, a
// goroutine each, and may be lost: all that one says is that the twin changed.
type hint chan struct{}

// Dispatch never blocks.
func (h hint) Dispatch([]byte) {
	select {
	case h <- struct{}{}:
	default: // a reading is due already
	}
}

// logger is the library's logger, and ours for what nobody can read. Its debug lines are dropped: the transport's say
// what session says better, and other parts of the library log whole payloads. The
// others are about what a hub sent, as long and as often as it likes.
type logger struct{ log zerolog.Logger }

const (
	libraryLines = 5   // a minute
	libraryLine  = 256 // bytes
)

func newLogger(log zerolog.Logger) logger {
	return logger{log.Sample(&zerolog.BurstSampler{Burst: libraryLines, Period: time.Minute})}
}

func (l logger) Errorf(format string, v ...any) { l.log.Error().Msg(line(format, v)) }
func (l logger) Warnf(format string, v ...any)  { l.log.Warn().Msg(line(format, v)) }
func (l logger) Infof(string, ...any)           {}
func (l logger) Debugf(string, ...any)          {}

func line(format string, v []any) string {
	text := "mqtt: " + fmt.Sprintf(format, v...)
	return text[:min(len(text), libraryLine)]
}

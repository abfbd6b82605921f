package gateway

import (
	"bytes"
	"io"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/config"
)

// levelSampler drops the lines below a level that may change while the program runs.
type levelSampler struct{ level atomic.Int32 }

var _ zerolog.Sampler = (*levelSampler)(nil)

// Sample tells whether a line of this level is written.
func (s *levelSampler) Sample(l zerolog.Level) bool { return int32(l) >= s.level.Load() }

func (s *levelSampler) set(name string) {
	level, err := zerolog.ParseLevel(name)
	if err != nil { // the configuration has other names only before it is read
		level = zerolog.InfoLevel
	}
	s.level.Store(int32(level))
}

// console tells whether lines are for people.
func console(format string, out io.Writer) bool {
	f, ok := out.(interface{ Fd() uintptr })
	return format == "console" || format == "auto" && ok && isatty.IsTerminal(f.Fd())
}

// newLogger returns a logger of lines in JSON, or for people.
func newLogger(w io.Writer, forPeople bool) zerolog.Logger {
	if forPeople {
		w = zerolog.ConsoleWriter{Out: w, NoColor: true, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Hook(timestamp{})
}

// timestamp adds the time in UTC with milliseconds: zerolog's own has seconds.
type timestamp struct{}

// Run adds the field.
func (timestamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
}

// droppedLine returns a function that formats the line in place of dropped lines.
func droppedLine(forPeople bool) func(dropped int) []byte {
	return func(dropped int) []byte {
		var line bytes.Buffer
		log := newLogger(&line, forPeople)
		log.Warn().Int("lines", dropped).Msg("log lines dropped here: the reader was too slow")
		return line.Bytes()
	}
}

func logStart(log zerolog.Logger, c *config.Config, version, commit string) {
	log.Info().Str("version", version).Str("commit", commit).Str("publicURL", c.PublicURL).Int("hubs", len(c.Hubs)).
		Int("cameras", len(c.Cameras)).Int("tokens", len(c.Access.Tokens)).Msg("tunnelgateway starts")
}

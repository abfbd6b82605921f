package module

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// severity part of a line in IoT Edge's format; not a field.
const severity = "severity"

// fieldNames gives the fixed fields their names, for the whole process.
func fieldNames() {
	zerolog.TimestampFieldName = "ts"
	zerolog.MessageFieldName = "msg"
	zerolog.ErrorFieldName = "err"
}

// newLogger writes one line a record: in IoT Edge's format inside IoT Edge, so that
// GetModuleLogs can filter by level and time ("Retrieve logs from IoT Edge
// deployments"), and JSON elsewhere.
func newLogger(w io.Writer, insideIoTEdge bool, level zerolog.Level) zerolog.Logger {
	if insideIoTEdge {
		w = edgeFormat(w)
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// dropNote makes the line that stands where lines are missing.
func dropNote(insideIoTEdge bool) func(dropped int) []byte {
	return func(dropped int) []byte {
		var line bytes.Buffer
		log := newLogger(&line, insideIoTEdge, zerolog.WarnLevel)
		log.Warn().Int("lines", dropped).Msg("log lines dropped here: nobody read them in time")
		return line.Bytes()
	}
}

// logLevel understands edge agent's RuntimeLogLevel; info if it says nothing, and if
// it says something else, which known tells.
func logLevel(name string) (level zerolog.Level, known bool) {
	switch strings.ToLower(name) {
	case "fatal":
		return zerolog.FatalLevel, true
	case "error":
		return zerolog.ErrorLevel, true
	case "warning":
		return zerolog.WarnLevel, true
	case "debug":
		return zerolog.DebugLevel, true
	case "verbose":
		return zerolog.TraceLevel, true
	default:
		return zerolog.InfoLevel, name == "" || strings.EqualFold(name, "info")
	}
}

// edgeFormat is <6> 2026-11-22 03:42:20.123 +00:00 [INF] - message key=value.
func edgeFormat(w io.Writer) io.Writer {
	return zerolog.ConsoleWriter{
		Out:           w,
		NoColor:       true,
		TimeLocation:  time.UTC,
		PartsOrder:    []string{severity, zerolog.TimestampFieldName, zerolog.LevelFieldName, zerolog.MessageFieldName},
		FieldsExclude: []string{severity},
		FormatPrepare: func(record map[string]any) error {
			level, _ := record[zerolog.LevelFieldName].(string)
			record[severity] = edgeLevel(level).severity
			return nil
		},
		FormatPartValueByName: func(value any, _ string) string { text, _ := value.(string); return text },
		FormatTimestamp:       func(any) string { return time.Now().UTC().Format("2006-01-02 15:04:05.000 -07:00") },
		FormatLevel: func(level any) string {
			name, _ := level.(string)
			return "[" + edgeLevel(name).name + "] -"
		},
	}
}

type edgeLogLevel struct{ severity, name string }

// edgeLevel maps zerolog's levels to the runtime's (edge-util, Logger).
func edgeLevel(level string) edgeLogLevel {
	switch level {
	case zerolog.LevelFatalValue, zerolog.LevelPanicValue:
		return edgeLogLevel{"<0>", "FTL"}
	case zerolog.LevelErrorValue:
		return edgeLogLevel{"<3>", "ERR"}
	case zerolog.LevelWarnValue:
		return edgeLogLevel{"<4>", "WRN"}
	case zerolog.LevelDebugValue:
		return edgeLogLevel{"<7>", "DBG"}
	case zerolog.LevelTraceValue:
		return edgeLogLevel{"<7>", "VRB"}
	default:
		return edgeLogLevel{"<6>", "INF"}
	}
}

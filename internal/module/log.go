package module

import (
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/module/logline"
)

// severity is the first part of a line in IoT Edge's format. It is not a field.
const severity = "severity"

// setFields sets the names of zerolog's fixed fields and the longest text of an error, for
// the whole process.
func setFields() {
	zerolog.ErrorMarshalFunc = logline.CutError
	zerolog.TimestampFieldName = "ts"
	zerolog.MessageFieldName = "msg"
	zerolog.ErrorFieldName = "err"
}

// newLogger returns a logger that writes one line for each record. Inside IoT Edge a line
// has IoT Edge's format, so that GetModuleLogs can filter by level and time ("Retrieve
// logs from IoT Edge deployments"). Elsewhere a line is JSON.
func newLogger(w io.Writer, insideIoTEdge bool, level zerolog.Level) zerolog.Logger {
	if insideIoTEdge {
		w = edgeFormat(w)
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// droppedLine returns a function that formats the line in place of dropped lines.
func droppedLine(insideIoTEdge bool) func(dropped int) []byte {
	return func(dropped int) []byte {
		var line bytes.Buffer
		log := newLogger(&line, insideIoTEdge, zerolog.WarnLevel)
		log.Warn().Int("lines", dropped).Msg("log lines dropped here: the reader was too slow")
		return line.Bytes()
	}
}

// parseLevel parses a level by edge agent's names, in any case. An empty name is info,
// and so is an unknown one: then known is false.
func parseLevel(name string) (level zerolog.Level, known bool) {
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

// edgeFormat writes <6> 2026-11-22 03:42:20.123 +00:00 [INF] - message key=value.
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

// edgeLevel maps zerolog's levels to those of the IoT Edge runtime (edge-util, Logger).
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

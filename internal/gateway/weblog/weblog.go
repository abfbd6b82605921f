// Package weblog writes the lines of HTTP requests: of the API and of outputs over HTTP.
//
// Code belongs here if it decides what such a line shows, and how many there are.
package weblog

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

const (
	maxPath = 256 // bytes of a logged path

	foldAfter = 10          // refusals of a reason in a window that are written as warnings
	window    = time.Minute // begins with a reason's first refusal
)

// Log writes a line for each request. Refused requests may be a stranger's: in a minute at
// most 10 lines of a reason are warnings, and the others are debug lines. The first warning
// after the minute has their number. Reasons are a closed list, so the number of warnings has
// a bound, whatever strangers send. Its methods are safe for concurrent use.
type Log struct {
	log     zerolog.Logger
	message string
	level   zerolog.Level

	mu      sync.Mutex
	windows map[reason.Code]*refusals
}

// refusals are the refused requests of one reason in one window.
type refusals struct {
	began  time.Time
	lines  int
	folded int // of lines
}

// New returns a log whose lines have the message, and the level if the request succeeded.
func New(log zerolog.Logger, message string, level zerolog.Level) *Log {
	return &Log{log: log, message: message, level: level, windows: make(map[reason.Code]*refusals)}
}

// Answer is what a line shows of the answer to a request.
type Answer struct {
	From    netip.Addr // the client
	User    string     // the principal's name; "" if there is none
	Status  int
	Failure *failure.Failure // nil if the request succeeded
	Took    time.Duration
}

// Write writes the line of a request. No field holds a token: the path is redacted, and
// headers are not logged.
func (l *Log) Write(r *http.Request, a Answer) {
	level, folded := l.level, 0
	if a.Failure != nil {
		level, folded = l.refusal(a.Failure.Reason, time.Now())
	}
	line := l.log.WithLevel(level).Str("method", cut(r.Method)).Str("path", cut(access.Redact(r.URL.RequestURI()))).
		Int("status", a.Status).Dur("durMs", a.Took).Stringer("remote", a.From)
	if a.User != "" {
		line = line.Str("user", a.User)
	}
	if f := a.Failure; f != nil {
		line = line.Str("hop", string(f.Hop)).Str("reason", string(f.Reason)).AnErr("error", f.Err)
	}
	if folded > 0 {
		line = line.Int("folded", folded)
	}
	line.Msg(l.message)
}

// refusal counts a refused request. It returns the level of its line, and how many warnings of
// the window before were folded.
func (l *Log) refusal(why reason.Code, now time.Time) (level zerolog.Level, folded int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[why]
	if w == nil || now.Sub(w.began) >= window {
		if w != nil {
			folded = w.folded
		}
		w = &refusals{began: now}
		l.windows[why] = w
	}
	if w.lines++; w.lines <= foldAfter {
		return zerolog.WarnLevel, folded
	}
	w.folded++
	return zerolog.DebugLevel, 0
}

// cut returns text, or the beginning of a long one and "...".
func cut(text string) string {
	const mark = "..."
	if len(text) <= maxPath {
		return text
	}
	return strings.ToValidUTF8(text[:maxPath-len(mark)], "") + mark
}

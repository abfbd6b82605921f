package api

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

const (
	maxPath = 256 // bytes of a logged path

	foldAfter = 10          // refusals of a reason in a window that are written as warnings
	window    = time.Minute // begins with a reason's first refusal
)

// accessLog writes a line for each request. Refused requests may be a stranger's: in a minute
// at most 10 lines of a reason are warnings, and the others are debug lines. The first warning
// after the minute has their number. Reasons are a closed list, so the number of warnings has
// a bound, whatever strangers send.
type accessLog struct {
	log zerolog.Logger

	mu      *sync.Mutex
	windows map[reason.Code]*refusals
}

// refusals are the refused requests of one reason in one window.
type refusals struct {
	began  time.Time
	lines  int
	folded int // of lines
}

func newAccessLog(log zerolog.Logger) accessLog {
	return accessLog{log: log, mu: new(sync.Mutex), windows: make(map[reason.Code]*refusals)}
}

// write writes the line of a request. No field holds a token: the path is redacted, and
// headers are not logged.
func (l accessLog) write(e *exchange, r *http.Request, took time.Duration) {
	level, folded := zerolog.InfoLevel, 0
	if e.failure != nil {
		level, folded = l.refusal(e.failure.Reason, time.Now())
	}
	line := l.log.WithLevel(level).Str("method", cut(r.Method)).Str("path", cut(access.Redact(r.URL.RequestURI()))).
		Int("status", e.status).Dur("durMs", took).Stringer("remote", e.from)
	if e.principal.Name != "" {
		line = line.Str("user", e.principal.Name)
	}
	if f := e.failure; f != nil {
		line = line.Str("hop", string(f.Hop)).Str("reason", string(f.Reason)).AnErr("error", f.Err)
	}
	if folded > 0 {
		line = line.Int("folded", folded)
	}
	line.Msg("API request")
}

// refusal counts a refused request. It returns the level of its line, and how many warnings of
// the window before were folded.
func (l accessLog) refusal(why reason.Code, now time.Time) (level zerolog.Level, folded int) {
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

// Package logline bounds the log lines that a caller causes, so that a caller cannot rotate
// other lines out of the log:
//   - [Cut] bounds a value, such as a method's name, and [CutError] an error's text.
//   - [Refusals] bounds the number of lines of refused calls. It writes all of them.
//
// A line belongs here when it bounds the length or the number of log lines.
package logline

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

const (
	maxValue = 253     // bytes of a value: no valid host name is longer
	maxError = 1 << 10 // bytes of an error's text, which may have several values
)

// Cut returns text, or the beginning of a text of more than 253 bytes and "...", 253 bytes
// in all at most.
func Cut(text string) string { return cut(text, maxValue) }

// CutError returns the text of err, cut to 1 KiB. It is a zerolog.ErrorMarshalFunc.
func CutError(err error) any {
	if err == nil {
		return nil
	}
	return cut(err.Error(), maxError)
}

func cut(text string, most int) string {
	const mark = "..."
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(mark)], "") + mark
}

const (
	foldAfter = 10          // lines of a reason in a window that are written as warnings
	window    = time.Minute // begins with a reason's first line
)

// Refusals writes the lines of refused calls. In a minute at most 10 lines of a reason are
// warnings; the others are debug lines, and at the end of the minute one warning has their
// number. Reasons are a closed list, so the number of warnings has a bound, whatever callers
// send. It is safe for concurrent use.
type Refusals struct {
	log zerolog.Logger // for the lines with a number

	mu      sync.Mutex
	windows map[reason.Code]*refusals
}

// refusals are the lines of one reason in one window.
type refusals struct {
	began  time.Time
	lines  int
	folded int // of lines
}

// NewRefusals returns Refusals that write the numbers of folded lines to log.
func NewRefusals(log zerolog.Logger) *Refusals {
	return &Refusals{log: log, windows: make(map[reason.Code]*refusals)}
}

// Write writes a line with message and with err to log, which has the call's fields.
func (r *Refusals) Write(log zerolog.Logger, message string, err error) {
	why := reason.Internal
	e, ok := errors.AsType[*tunnelopen.Error](err)
	if ok {
		why = e.Reason
	}
	event := log.WithLevel(r.level(why, time.Now())).Err(err)
	if ok {
		event = event.Str("reason", string(why)).Int("code", e.Status)
	}
	event.Msg(message)
}

// level counts a line, and returns its level.
func (r *Refusals) level(why reason.Code, now time.Time) zerolog.Level {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(why, now)
	w := r.windows[why]
	if w == nil {
		w = &refusals{began: now}
		r.windows[why] = w
	}
	if w.lines++; w.lines <= foldAfter {
		return zerolog.WarnLevel
	}
	w.folded++
	return zerolog.DebugLevel
}

// Flush writes the numbers of the windows that have ended by now. The caller calls it about
// every second, and FlushAll at the end.
func (r *Refusals) Flush(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, why := range slices.Sorted(maps.Keys(r.windows)) {
		r.end(why, now)
	}
}

// FlushAll writes the numbers of all windows, and ends them.
func (r *Refusals) FlushAll() { r.Flush(time.Now().Add(window)) }

// end ends the window of a reason, if its time is over. The caller holds mu.
func (r *Refusals) end(why reason.Code, now time.Time) {
	w := r.windows[why]
	if w == nil || now.Sub(w.began) < window {
		return
	}
	delete(r.windows, why)
	if w.folded > 0 {
		r.log.Warn().Str("reason", string(why)).Int("calls", w.folded).Dur("withinMs", window).Msg("more calls refused: " + why.Text())
	}
}

// Package logtest lets a test read what a program writes while the program runs. The
// test can wait for text and for log lines with given fields. Only tests import it.
package logtest

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeout bounds a wait. What tests wait for takes milliseconds to seconds.
const timeout = time.Minute

// Record collects what is written to it. It is safe for concurrent use.
type Record struct {
	mu      sync.Mutex
	text    bytes.Buffer
	written chan struct{} // closed and replaced at each write
	onWrite func(all string)
}

// New returns an empty record.
func New() *Record { return &Record{written: make(chan struct{})} }

// OnWrite makes each write from now on call f with the whole text. The write waits for
// f, and f must not use the record. Nil ends the calls.
func (r *Record) OnWrite(f func(all string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onWrite = f
}

// Write never fails.
func (r *Record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(p)
	close(r.written)
	r.written = make(chan struct{})
	if r.onWrite != nil {
		r.onWrite(r.text.String())
	}
	return len(p), nil
}

// String returns the whole text.
func (r *Record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Await waits until the record contains text n times. It fails the test after a minute.
// Prefer AwaitFields for log lines: it does not depend on the wording of a message.
func (r *Record) Await(tb testing.TB, text string, n int) {
	tb.Helper()
	all, ok := r.await(func(all string) bool { return strings.Count(all, text) >= n })
	if !ok {
		tb.Fatalf("%q was not written %d times:\n%s", text, n, all)
	}
}

// AwaitFields waits until n log lines have all the given fields, each as name=value:
//
//	log.AwaitFields(t, 2, "reason=HUB_LOGIN", "protocol=mqttws")
//
// It reads both formats of the project's logs: JSON, and IoT Edge's format with
// name=value. A value is text, a number, true or false, without quotes, and must match
// as a whole. AwaitFields fails the test after a minute.
func (r *Record) AwaitFields(tb testing.TB, n int, fields ...string) {
	tb.Helper()
	patterns := fieldPatterns(tb, fields)
	all, ok := r.await(func(all string) bool { return countLines(all, patterns) >= n })
	if !ok {
		tb.Fatalf("%v was not logged %d times:\n%s", fields, n, all)
	}
}

// CountFields returns how many log lines have all the given fields so far; see
// AwaitFields.
func (r *Record) CountFields(tb testing.TB, fields ...string) int {
	tb.Helper()
	return countLines(r.String(), fieldPatterns(tb, fields))
}

// fieldPatterns returns a pattern for each field, which matches a line that has the
// field in one of the formats.
func fieldPatterns(tb testing.TB, fields []string) []*regexp.Regexp {
	tb.Helper()
	patterns := make([]*regexp.Regexp, len(fields))
	for i, field := range fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			tb.Fatalf("%q is not name=value", field)
		}
		name = regexp.QuoteMeta(name)
		value = `(` + regexp.QuoteMeta(value) + `|` + regexp.QuoteMeta(strconv.Quote(value)) + `)`
		patterns[i] = regexp.MustCompile(`"` + name + `":` + value + `[,}]|\s` + name + `=` + value + `(\s|$)`)
	}
	return patterns
}

// countLines counts the complete lines that all patterns match.
func countLines(text string, patterns []*regexp.Regexp) int {
	count := 0
	for line := range strings.Lines(text) {
		unmatched := func(p *regexp.Regexp) bool { return !p.MatchString(line) }
		if strings.HasSuffix(line, "\n") && !slices.ContainsFunc(patterns, unmatched) {
			count++
		}
	}
	return count
}

// await waits until the text satisfies enough, and returns the text. It returns false
// after the timeout.
func (r *Record) await(enough func(all string) bool) (all string, ok bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		r.mu.Lock()
		all, written := r.text.String(), r.written
		r.mu.Unlock()
		if enough(all) {
			return all, true
		}
		select {
		case <-written:
		case <-timer.C:
			return all, false
		}
	}
}

// secret matches 256 bits in hex or base64: every token, key and signature of this
// project has that length. Ids are shorter.
var secret = regexp.MustCompile(`[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?`)

// NoSecret fails the test if a word in text looks like a secret.
func NoSecret(tb testing.TB, text string) {
	tb.Helper()
	if word := secret.FindString(text); word != "" {
		tb.Errorf("%q looks like a secret in:\n%s", word, text)
	}
}

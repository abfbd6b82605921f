// Package logtest lets a test read what a program writes while it runs, and wait
// for it. Tests alone import it.
package logtest

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is for what takes milliseconds or a few seconds; it only keeps a hang
// from lasting.
const patience = time.Minute

// Record collects what is written to it. It may be written by several goroutines
// while others read.
type Record struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed and replaced with each write
	seen  func(all string)
}

// New returns an empty record.
func New() *Record { return &Record{grown: make(chan struct{})} }

// OnWrite calls seen with the whole text at each write from now on.
func (r *Record) OnWrite(seen func(all string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = seen
}

// Write never fails.
func (r *Record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(p)
	close(r.grown)
	r.grown = make(chan struct{})
	if r.seen != nil {
		r.seen(r.text.String())
	}
	return len(p), nil
}

// String is all that was written so far.
func (r *Record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Await waits until text stands in the record n times, or fails the test.
func (r *Record) Await(tb testing.TB, text string, n int) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		all, grown := r.text.String(), r.grown
		r.mu.Unlock()
		if strings.Count(all, text) >= n {
			return
		}
		select {
		case <-grown:
		case <-deadline:
			tb.Fatalf("%q was not written %d times:\n%s", text, n, all)
		}
	}
}

// secret is 256 bits in hex or base64, which every token, key and signature of this
// project has; ids are shorter.
var secret = regexp.MustCompile(`[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?`)

// NoSecret fails the test if a word in text looks like a secret.
func NoSecret(tb testing.TB, text string) {
	tb.Helper()
	if word := secret.FindString(text); word != "" {
		tb.Errorf("%q looks like a secret in:\n%s", word, text)
	}
}

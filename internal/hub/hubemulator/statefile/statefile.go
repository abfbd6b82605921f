// Package statefile stores one document in one file. A stored document survives a crash
// of the process or of the machine.
//
// Each write replaces the file atomically (package wholefile): a reader finds the
// complete document from before the write or from after it. Concurrent callers share one
// write (group commit): calls that arrive during a write wait for the next one.
//
// The package does not interpret the document. The caller ensures that only one process
// writes the file.
package statefile

import (
	"errors"
	"io"
	"sync"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/wholefile"
)

// ErrClosed is returned by Keep after Close, unless the file has the revision already.
var ErrClosed = errors.New("state file is closed")

// Options are what a File needs.
type Options struct {
	// Path is the path of the file, which gets mode 0600. Its directory must exist.
	// Required.
	Path string
	// Snapshot returns the current document, and a revision that grows with each change
	// of it. One goroutine at a time calls it, and the document is written before the
	// next call. Required.
	Snapshot func() (revision int64, document io.WriterTo, err error)
	// Log gets one line when writes begin to fail, and one when they succeed again.
	Log zerolog.Logger
}

// File stores a document. All methods are safe for concurrent use.
type File struct {
	options Options
	wake    chan struct{} // holds one token when next is not nil
	closing chan struct{}
	ended   chan struct{} // closed when the writer has ended

	failures int // since the last successful write; owned by the writer

	mu     sync.Mutex
	kept   int64  // the revision in the file
	next   *round // the round that callers wait for; nil if none do
	closed bool
}

// round is one write that callers wait for.
type round struct {
	done chan struct{} // closed after the write
	err  error         // set before done is closed
}

// Start returns a File and starts its writer. It writes nothing before the first Keep.
// The caller must call Close.
func Start(o Options) *File {
	f := &File{
		options: o,
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
		kept:    -1,
	}
	go f.serve()
	return f
}

// Keep returns when the file holds a document of this revision or a later one, at once
// if it already does. The document must have reached the revision. If the write fails,
// Keep returns the error, and the next call tries again.
func (f *File) Keep(revision int64) error {
	f.mu.Lock()
	if f.kept >= revision {
		f.mu.Unlock()
		return nil
	}
	if f.closed {
		f.mu.Unlock()
		return ErrClosed
	}
	if f.next == nil {
		f.next = &round{done: make(chan struct{})}
		f.wake <- struct{}{} // does not block: take removes the token of a round with the round
	}
	r := f.next
	f.mu.Unlock()
	<-r.done
	return r.err
}

// Close writes the document one last time, whatever its revision, and returns the error
// of that write. Waiting calls of Keep return with it. Call Close once.
func (f *File) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	close(f.closing)
	<-f.ended
	r := f.take()
	f.write(r)
	return r.err
}

// serve writes one round after another until Close.
func (f *File) serve() {
	defer close(f.ended)
	for {
		select {
		case <-f.wake:
			f.write(f.take())
		case <-f.closing:
			return
		}
	}
}

// take returns the round that callers wait for. Later callers wait for the next round.
func (f *File) take() *round {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.next
	f.next = nil
	if r == nil {
		r = &round{done: make(chan struct{})}
	}
	return r
}

// write writes the current document and ends the round r.
func (f *File) write(r *round) {
	var revision int64
	revision, r.err = f.writeSnapshot()
	f.mu.Lock()
	if r.err == nil {
		f.kept = revision
	}
	f.mu.Unlock()
	f.note(r.err)
	close(r.done)
}

func (f *File) writeSnapshot() (revision int64, err error) {
	revision, document, err := f.options.Snapshot()
	if err != nil {
		return 0, err
	}
	return revision, wholefile.Write(f.options.Path, wholefile.Private, document)
}

// note logs when writes begin to fail and when they succeed again. A line for each
// failed write would be a line for each request.
func (f *File) note(err error) {
	log := f.options.Log.With().Str("file", f.options.Path).Logger()
	switch {
	case err != nil && f.failures == 0:
		log.Error().Err(err).Msg("cannot write the state file: a crash would lose changes")
	case err == nil && f.failures > 0:
		log.Info().Int("failures", f.failures).Msg("state file is written again")
	}
	if err != nil {
		f.failures++
	} else {
		f.failures = 0
	}
}

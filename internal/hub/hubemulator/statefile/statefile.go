// Package statefile keeps one document in one file, so that what was kept
// outlives the process, however it ends, and the machine.
//
// The file is never changed, only replaced (package wholefile). A reader finds
// the document before the change or after it, and whole. Many who wait share one
// write (group commit): while one is under way, all who come wait for the next.
//
// It knows nothing of what the document says. There must be one process only
// that keeps a document in the file; to see to that is the caller's business.
package statefile

import (
	"errors"
	"io"
	"sync"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/wholefile"
)

// ErrClosed is what Keep returns after Close, unless all is kept.
var ErrClosed = errors.New("state file is closed")

// Options are what a File needs.
type Options struct {
	// Path is the file's, which is private. Its directory must exist. Required.
	Path string
	// Snapshot returns the document as it is now, and a number that grows
	// with each change of it. It is called by one goroutine at a time, and
	// the document is written before the next call. Required.
	Snapshot func() (revision int64, document io.WriterTo, err error)
	// Log hears of writes that failed: once when it begins and once when it
	// is over.
	Log zerolog.Logger
}

// File is a document that is kept. All methods are safe for concurrent use.
type File struct {
	options Options
	wake    chan struct{} // holds one token when next is not nil
	closing chan struct{}
	ended   chan struct{} // closed when the writer has ended

	failures int // since the last write that did not fail; the writer's alone

	mu     sync.Mutex
	kept   int64  // the revision in the file
	next   *round // for those who wait; nil if there are none
	closed bool
}

// round is one write and those who wait for it.
type round struct {
	done chan struct{} // closed after the write
	err  error         // set before done is closed
}

// Start begins to keep a document; nothing is written before the first Keep. The
// caller closes the file.
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

// Keep returns once the file holds a document of that revision or a later one;
// at once if it does already. The revision is one that the document has reached.
// An error says that it could not be written; the next call tries again.
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
		f.wake <- struct{}{} // there is room: the token of a round is taken with the round
	}
	r := f.next
	f.mu.Unlock()
	<-r.done
	return r.err
}

// Close writes the document one last time, whatever its revision, and returns
// the error of that. Those who wait get their answer. Call it once.
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

// serve writes one round after the other until Close.
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

// take returns the round of those who wait. Who comes from now on waits for the
// next.
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

// write writes the document as it is now, for all who wait for r.
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

// note logs that writes have begun to fail, or that it is over: every request in
// the meantime would be a line else.
func (f *File) note(err error) {
	log := f.options.Log.With().Str("file", f.options.Path).Logger()
	switch {
	case err != nil && f.failures == 0:
		log.Error().Err(err).Msg("state cannot be kept, changes would be lost with the process")
	case err == nil && f.failures > 0:
		log.Info().Int("failures", f.failures).Msg("state is kept again")
	}
	if err != nil {
		f.failures++
	} else {
		f.failures = 0
	}
}

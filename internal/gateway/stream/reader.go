package stream

import (
	"context"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Start is where a reader begins. It always begins at a key frame.
type Start int

const (
	// NextKey is the first key frame after Attach or Restart. A reader that attached before
	// the first key frame of the session begins at that one, as long as the ring keeps it:
	// a player that opens the camera sees its first picture.
	NextKey Start = iota
	// Live is the newest key frame in the ring, and everything after it. Without one it is
	// NextKey.
	Live
)

// Want is what a reader asks for.
type Want struct{ Start Start }

// Reader reads the units of a stream. One goroutine calls Next; the other methods may be
// called concurrently.
type Reader struct {
	stream *Stream

	// The fields below are guarded by the stream's mu.

	err   *failure.Failure // why the stream ended the reader
	ready bool             // Attach has returned it, or will
	want  Start
	epoch *media.Epoch

	opener   bool   // it attached before the session's first key frame
	firstKey uint64 // that key frame's position; if opener

	state  cursorState
	next   uint64 // the position that it reads next, or seeks from
	group  uint64 // of the unit that it read last
	reads  bool   // it has read since its start, so what it misses counts as skipped
	groups uint64 // skipped
	units  uint64 // skipped
}

// cursorState is what a reader's position means.
type cursorState int

const (
	seeking cursorState = iota // the first key frame at next or later
	newest                     // the newest key frame, once the reader reads
	reading                    // the unit at next
)

// Epoch returns the tracks when the reader attached. Later units may have other epochs.
func (r *Reader) Epoch() *media.Epoch {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	return r.epoch
}

// Next returns the next unit. It waits until there is one. A reader that is more than Lag
// behind goes on at the newest key frame. It returns the *failure.Failure with which the
// stream ended, ViewerClosed after Close, or ctx's cause.
func (r *Reader) Next(ctx context.Context) (*media.Unit, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		u, wait, err := r.take()
		if wait == nil {
			return u, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// Restart moves the reader to another start. What lies between counts as neither read nor
// skipped. RTSP attaches at DESCRIBE, and starts at PLAY.
func (r *Reader) Restart(w Want) {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	r.restart(w.Start)
	r.stream.wakeAll() // Next may wait for another unit
}

// restart is Restart with the stream's mu held.
func (r *Reader) restart(start Start) {
	r.reads = false
	switch {
	case start == Live:
		r.state = newest
	case r.opener:
		r.state, r.next = seeking, r.firstKey
	default:
		r.state, r.next = seeking, r.stream.ring.next
	}
}

// Skipped returns how many groups of pictures, and units of all tracks, the reader did not
// get because it was too slow. A group counts if at least a part of it was skipped.
func (r *Reader) Skipped() (groups, units uint64) {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	return r.groups, r.units
}

// Close ends the reader. It does not wait for the session. More than one call is harmless.
func (r *Reader) Close() {
	s := r.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.err != nil {
		return
	}
	r.err = failure.New(failure.Viewer, reason.ViewerClosed, nil)
	s.leave(r)
	s.wakeAll() // Next may wait
}

// admission returns what an Attach call waits for; nil if the reader is ready.
func (r *Reader) admission() (<-chan struct{}, error) {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	switch {
	case r.err != nil:
		return nil, r.err
	case r.ready:
		return nil, nil
	default:
		return r.stream.keys.wait(), nil
	}
}

// take returns the next unit, or what to wait for, or why there is none.
func (r *Reader) take() (*media.Unit, <-chan struct{}, error) {
	s := r.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.err != nil {
		return nil, nil, r.err
	}
	if r.state != reading || s.ring.behind(r.next, s.o.Lag) {
		r.move()
	}
	switch {
	case r.state != reading:
		return nil, s.keys.wait(), nil
	case r.next == s.ring.next:
		return nil, s.units.wait(), nil
	}
	e := s.ring.at(r.next)
	r.next++
	r.group, r.reads, r.opener = e.group, true, false
	return e.unit, nil, nil
}

// move looks for the key frame at which the reader begins or goes on. It leaves a reader that
// cannot go on in order, and finds none, seeking.
func (r *Reader) move() {
	ring := &r.stream.ring
	key, found := ring.newestKey()
	switch r.state {
	case newest:
		if !found {
			r.state, r.next = seeking, ring.next
			return
		}
	case seeking:
		key, found = ring.keyFrom(r.next, r.stream.o.Lag)
	case reading:
		found = found && key > r.next
	}
	switch {
	case found:
		r.jump(key)
	case r.state == reading && r.next < ring.first:
		r.state = seeking
	}
}

// jump moves the reader to a key frame, and counts what it skips.
func (r *Reader) jump(key uint64) {
	ring := &r.stream.ring
	if r.reads && key > r.next {
		r.units += key - r.next
		r.groups += ring.at(key).group - r.group
		if r.next >= ring.first && ring.at(r.next).key {
			r.groups-- // the group before it was read to its end
		}
	}
	r.state, r.next = reading, key
}

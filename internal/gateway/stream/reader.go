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
	end    uint64 // the position after the unit that it read last
	group  uint64 // of that unit
	waits  bool   // Next waits, or did when its context ended
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
// skipped. It never goes back: units that the reader has got do not come again. RTSP attaches
// at DESCRIBE, and starts at PLAY.
func (r *Reader) Restart(w Want) {
	r.stream.mu.Lock()
	defer r.stream.mu.Unlock()
	r.restart(w.Start)
	r.interrupt()
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
// get because it was too slow. The group that the reader was in counts, too.
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
	r.interrupt()
}

// interrupt makes a Next that waits look again. It wakes the other readers, too. The stream's
// mu is held.
func (r *Reader) interrupt() {
	if r.waits {
		r.stream.wakeAll()
	}
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
	if r.state != reading || r.next < s.ring.first {
		r.move()
	}
	r.waits = r.state != reading || r.next == s.ring.next
	switch {
	case r.state != reading:
		return nil, s.keys.wait(), nil
	case r.waits:
		return nil, s.units.wait(), nil
	}
	e := s.ring.at(r.next)
	r.next++
	r.end, r.group, r.reads, r.opener = r.next, e.group, true, false
	return e.unit, nil, nil
}

// move looks for the key frame at which the reader begins, or goes on after the ring has left
// it. Without one it leaves the reader seeking.
func (r *Reader) move() {
	ring := &r.stream.ring
	key, found := ring.newestKey()
	switch r.state {
	case newest:
		if !found || key < r.end {
			r.state, r.next = seeking, ring.next
			return
		}
	case seeking:
		key, found = ring.keyFrom(r.next)
	}
	if found {
		r.jump(key)
	} else {
		r.state = seeking
	}
}

// jump moves the reader to a key frame, and counts what it skips.
func (r *Reader) jump(key uint64) {
	if r.reads && key > r.next {
		r.units += key - r.next
		r.groups += r.stream.ring.at(key).group - r.group
	}
	r.state, r.next = reading, key
}

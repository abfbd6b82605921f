// Package logqueue keeps who logs from waiting for who reads the log: a container's
// standard output is a pipe, and its reader may stand still for as long as it likes.
//
// zerolog's own diode is not it: once it is full it throws away all that it holds,
// and its Close waits for the reader.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxBytes is what a queue holds at most; a line has some hundred bytes.
const maxBytes = 256 << 10

// Queue is an io.Writer that never waits. A line for which it has no room is dropped
// and counted.
type Queue struct {
	out  io.Writer
	wake chan struct{} // of capacity 1: there is something to write, or Close
	idle chan struct{} // closed when the writing goroutine has ended

	mu      sync.Mutex
	lines   bytes.Buffer
	dropped int // after lines
	total   int
	closed  bool
	note    func(dropped int) []byte
}

// New returns a queue that writes to out, in a goroutine that Close ends.
func New(out io.Writer) *Queue {
	q := &Queue{out: out, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	go q.run()
	return q
}

// OnDrop sets what is written where lines are missing.
func (q *Queue) OnDrop(note func(dropped int) (line []byte)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.note = note
}

// Dropped is how many lines were dropped so far.
func (q *Queue) Dropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// Write takes one line, or drops it. It never fails.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.lines.Len()+len(line) > maxBytes {
		q.dropped++
		q.total++
		q.signal()
		return len(line), nil
	}
	q.lines.Write(line)
	q.signal()
	return len(line), nil
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it wakes already
	}
}

// Close writes what the queue holds, for no longer than within; lines that come later
// are dropped. The goroutine of a reader that stands still is left behind.
func (q *Queue) Close(within time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	select {
	case <-q.idle:
	case <-time.After(within):
	}
}

func (q *Queue) run() {
	defer close(q.idle)
	var batch []byte
	for range q.wake {
		for {
			var note []byte
			var closed bool
			if batch, note, closed = q.take(batch[:0]); len(batch) == 0 && len(note) == 0 {
				if closed {
					return
				}
				break
			}
			for _, text := range [][]byte{batch, note} {
				if len(text) > 0 {
					_, _ = q.out.Write(text) // nobody could be told of an error
				}
			}
		}
	}
}

// take moves what is queued into batch; note tells how many lines are missing after
// it.
func (q *Queue) take(batch []byte) (lines, note []byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = append(batch, q.lines.Bytes()...)
	q.lines.Reset()
	if q.dropped > 0 && q.note != nil {
		note = q.note(q.dropped)
	}
	q.dropped = 0
	return batch, note, q.closed
}

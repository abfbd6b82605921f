// Package logqueue is a log writer that drops lines instead of blocking. A container's
// standard output is a pipe, and its reader may stop at any time.
//
// zerolog's diode does not fit: when it is full it drops all lines that it holds, and its
// Close waits for the reader.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// maxBytes bounds the queue; a line has a few hundred bytes.
const maxBytes = 256 << 10

// Queue is an io.Writer that never blocks. It drops and counts lines that do not fit. It is
// safe for concurrent use.
type Queue struct {
	out  io.Writer
	wake chan struct{} // capacity 1: there are lines, drops or a Close
	idle chan struct{} // closed when the writing goroutine has ended

	mu      sync.Mutex
	lines   bytes.Buffer
	dropped int // since the end of lines
	total   int
	closed  bool
	note    func(dropped int) []byte
}

var _ io.Writer = (*Queue)(nil)

// New returns a queue that writes to out in a goroutine. The caller calls Close, which ends
// it.
func New(out io.Writer) *Queue {
	q := &Queue{out: out, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	go q.run()
	return q
}

// OnDrop sets the line that is written in place of dropped lines. Without it there is none.
func (q *Queue) OnDrop(note func(dropped int) (line []byte)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.note = note
}

// Dropped returns the number of lines that were dropped so far.
func (q *Queue) Dropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.total
}

// Write queues one line, or drops it. It never fails.
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
	default: // a signal is pending
	}
}

// Close waits until the queued lines are written, at most for within. Later lines are
// dropped. If out blocks, its goroutine continues after Close.
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
					_, _ = q.out.Write(text) // an error cannot be logged here
				}
			}
		}
	}
}

// take moves the queued lines to batch. note is the line about lines dropped after them.
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

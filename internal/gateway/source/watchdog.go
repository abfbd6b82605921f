package source

import (
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// watchdog ends a session whose camera sends no media, or none that can be read, for the
// limit. The main track counts: a frozen picture with sound is a stopped camera.
type watchdog struct {
	limit time.Duration
	end   func(*failure.Failure)

	mu       sync.Mutex
	timer    *time.Timer // nil before start and after stop
	media    time.Time   // last packet of the main track
	readable time.Time   // last packet of the main track that was part of readable media
}

func newWatchdog(limit time.Duration, end func(*failure.Failure)) *watchdog {
	return &watchdog{limit: limit, end: end}
}

func (w *watchdog) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.media, w.readable = now, now
	w.timer = time.AfterFunc(w.limit, w.check)
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// read notes that a unit of the main track was readable at now.
func (w *watchdog) read(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.media, w.readable = now, now
}

// unreadable notes that something came that could not be read.
func (w *watchdog) unreadable() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.media = time.Now()
}

// check ends the session, or sets the timer to when the limit is reached.
func (w *watchdog) check() {
	w.mu.Lock()
	if w.timer == nil {
		w.mu.Unlock()
		return
	}
	now := time.Now()
	if rest := w.limit - now.Sub(w.readable); rest > 0 {
		w.timer.Reset(rest)
		w.mu.Unlock()
		return
	}
	f := failure.New(failure.Media, reason.MediaStopped, nil)
	if now.Sub(w.media) < w.limit/2 {
		f = failure.New(failure.Media, reason.MediaInvalid, nil)
	}
	f = f.At(w.readable, time.Time{})
	w.mu.Unlock()
	w.end(f)
}

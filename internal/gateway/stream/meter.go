package stream

import (
	"time"

	"rtsptunnel/internal/gateway/media"
)

// meter counts what comes in, and estimates rates over windows of meterWindow.
type meter struct {
	bytes uint64 // of all sessions

	begin       time.Time // of the window; zero before the first unit of a session
	windowBytes int
	frames      int // of the main track, in the window

	fps, bits   float64       // a second, of the last window
	key         int64         // DTS of the newest key frame
	keyEpoch    *media.Epoch  // its epoch
	keyInterval time.Duration // between the newest two key frames of one epoch
}

const meterWindow = 2 * time.Second

// add counts a unit. main says that it is one of the main track, key that it is a key frame
// of it.
func (m *meter) add(u *media.Unit, main, key bool, now time.Time) {
	size := received(u)
	m.bytes += uint64(size) //nolint:gosec // G115: a size is not negative
	if m.begin.IsZero() {
		m.begin = now
	}
	if elapsed := now.Sub(m.begin); elapsed >= meterWindow {
		m.fps = float64(m.frames) / elapsed.Seconds()
		m.bits = 8 * float64(m.windowBytes) / elapsed.Seconds()
		m.begin, m.windowBytes, m.frames = now, 0, 0
	}
	m.windowBytes += size
	if main {
		m.frames++
	}
	if key {
		if m.keyEpoch == u.Epoch {
			m.keyInterval = duration(u.DTS-m.key, u.Epoch.Tracks[u.Track].ClockRate)
		}
		m.key, m.keyEpoch = u.DTS, u.Epoch
	}
}

// stop ends the estimates with the session.
func (m *meter) stop() { *m = meter{bytes: m.bytes} }

// rates returns the estimates. They are 0 before the first window is complete, and when the
// last one is long past.
func (m *meter) rates(now time.Time) (fps, bits float64) {
	if m.begin.IsZero() || now.Sub(m.begin) > 5*meterWindow {
		return 0, 0
	}
	return m.fps, m.bits
}

// received returns the bytes of the unit as the camera sent them.
func received(u *media.Unit) int {
	parts := u.Packets
	if len(parts) == 0 {
		parts = u.Payload
	}
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	return n
}

package stream

import (
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Phase is what a stream does.
type Phase string

// The phases.
const (
	PhaseIdle      Phase = "idle"      // no session
	PhaseOpening   Phase = "opening"   // the first key frame has not arrived
	PhaseLive      Phase = "live"      // readers read
	PhaseReopening Phase = "reopening" // the session failed, and the readers wait
	PhaseClosing   Phase = "closing"   // no reader: the grace runs, or the session closes
)

// Phases returns all phases.
func Phases() []Phase {
	return []Phase{PhaseIdle, PhaseOpening, PhaseLive, PhaseReopening, PhaseClosing}
}

// State describes a stream.
type State struct {
	Phase Phase
	Since time.Time // when the phase began; zero if the stream was never open
	// Hop is what an opening works on; empty while none is in progress.
	Hop failure.Hop
	// Failure is the newest failure, with the time of the first one in a row and of the next
	// attempt; nil after a success. RetryAt is zero if the next Attach opens at once.
	Failure *failure.Failure
	Readers int          // with Attach calls that wait
	Epoch   *media.Epoch // of the newest unit; nil without one

	Bytes           uint64        // received from the camera so far, over all sessions
	KeyInterval     time.Duration // between the newest two key frames; 0 if not known
	FramesPerSecond float64       // of the main track; 0 if not known
	BitsPerSecond   float64       // of all tracks; 0 if not known

	// OpenPhases is how long the parts of the newest opening took so far.
	OpenPhases map[OpenPhase]time.Duration
}

// State returns the stream's state.
func (s *Stream) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	state := State{
		Phase: s.phase, Since: s.since, Failure: s.lost, Readers: len(s.readers), Epoch: s.timeline.epoch,
		Bytes: s.meter.bytes, KeyInterval: s.meter.keyInterval,
	}
	if state.Phase == "" {
		state.Phase = PhaseIdle
	}
	state.FramesPerSecond, state.BitsPerSecond = s.meter.rates(now)
	took := s.opened
	if a := s.attempt; a != nil && a.opening() {
		state.Hop = a.hop
		took = a.durations(now)
	}
	state.OpenPhases = took.byPhase()
	return state
}

// Changed returns what is closed at the next change of the phase, of the hop of an opening, or
// of the failure. A caller takes it before State, so that it misses no change.
func (s *Stream) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.wait()
}

// LastKey returns the newest key frame of the main video, for a still picture. The stream keeps
// it when its session has ended, and as long as it exists itself. It is nil if the stream never
// had one.
func (s *Stream) LastKey() *media.Unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastKey
}

// enter begins a phase. s.mu is held.
func (s *Stream) enter(p Phase) {
	if s.phase != p {
		s.phase, s.since = p, time.Now()
		wake(s.state.take())
	}
}

// progress begins a hop of an opening. s.mu is held.
func (s *Stream) progress(a *attempt, h failure.Hop) {
	a.progress(h)
	wake(s.state.take())
}

// OpenPhase is a part of an opening, for metrics.
type OpenPhase string

// The parts of an opening, in their order.
const (
	OpenHub    OpenPhase = "hub"    // the hub's direct method
	OpenTunnel OpenPhase = "tunnel" // the module's WebSocket, or the dial of a direct source
	OpenRTSP   OpenPhase = "rtsp"   // DESCRIBE to PLAY
	OpenKey    OpenPhase = "key"    // until the first key frame
)

// OpenPhases returns all parts of an opening.
func OpenPhases() []OpenPhase { return []OpenPhase{OpenHub, OpenTunnel, OpenRTSP, OpenKey} }

// phaseIndex returns the index into OpenPhases of the part to which a hop's time counts.
func phaseIndex(h failure.Hop) int {
	switch h {
	case failure.Hub:
		return 0
	case failure.RTSP:
		return 2
	case failure.Media:
		return 3
	default:
		return 1
	}
}

// durations are the times of OpenPhases.
type durations [4]time.Duration

func (d durations) byPhase() map[OpenPhase]time.Duration {
	var m map[OpenPhase]time.Duration
	for i, p := range OpenPhases() {
		if d[i] > 0 {
			if m == nil {
				m = make(map[OpenPhase]time.Duration, len(d))
			}
			m[p] = d[i]
		}
	}
	return m
}

package broker

import (
	"errors"
	"net/http"
	"time"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// This file is what goes wrong on demand of a test (package faults), and what
// is refused because it comes too fast (package throttle).

var (
	errOnDemand  = errors.New("refused on demand")
	errThrottled = errors.New("throttled")
)

// obstacle returns the status and the reason why a twin request is not to be
// carried out; the reason is nil if it is.
func (b *Broker) obstacle(s *session, kind throttle.Kind) (status int, reason error) {
	if status := b.faults.TwinStatus(s.id.String()); status != 0 {
		return status, errOnDemand
	}
	if _, ok := b.throttle.Take(kind, 1); !ok {
		return http.StatusTooManyRequests, errThrottled
	}
	return 0, nil
}

// loseRequest reports whether a method call that could be delivered shall not
// be.
func (b *Broker) loseRequest(s *session) bool {
	lost := b.faults.MethodRequestLost(s.id.String())
	if lost {
		s.log.Info().Msg("method call lost on demand")
	}
	return lost
}

// deliver sends a method call, and again if a fault says so. It reports whether the
// session took it.
func (b *Broker) deliver(s *session, call message) bool {
	if !s.send(filterMethods, call) {
		return false
	}
	if b.faults.MethodDeliveredTwice(s.id.String()) {
		s.log.Info().Bool("taken", s.send(filterMethods, call)).Msg("method call delivered twice on demand")
	}
	return true
}

// cutOnDemand cuts the connection when a fault says so; it returns at the end
// of the connection.
func (s *session) cutOnDemand() {
	if s.faults.AwaitCut(s.done, s.id.String(), s.since) {
		s.log.Info().Msg("connection cut on demand, so long after the login")
		s.kill()
	}
}

// heldAnswer is an answer to a twin request that must wait.
type heldAnswer struct {
	message
	asked time.Time
}

// hold keeps an answer back if a fault says so, or if others before it are kept
// back, and reports whether it did. Too many of them cost the client its
// connection: to hold up its reader would stop its pings too.
func (s *session) hold(m message) bool {
	s.mu.Lock()
	if len(s.held) == 0 && !s.faults.TwinAnswersWait(s.id.String()) {
		s.mu.Unlock()
		return false
	}
	full := len(s.held) >= maxAnswers || s.heldBytes+m.size() > maxAnswerBytes
	waiting := len(s.held)
	if !full {
		s.held = append(s.held, heldAnswer{message: m, asked: time.Now()})
		s.heldBytes += m.size()
	}
	s.mu.Unlock()
	if full {
		s.log.Warn().Int(fieldMessages, waiting).Msg("more answers held on demand than there is room for, connection cut")
		s.kill()
		return true
	}
	select {
	case s.wakeHeld <- struct{}{}:
	default: // a wake-up is waiting already
	}
	return true
}

// release sends answers that were held, in their order, until the connection
// ends.
func (s *session) release() {
	for {
		select {
		case <-s.done:
			return
		case <-s.wakeHeld:
		}
		for a, ok := s.firstHeld(); ok; a, ok = s.firstHeld() {
			if !s.faults.AwaitTwinAnswer(s.done, s.id.String(), a.asked) {
				return
			}
			s.send(filterTwin, a.message)
			s.dropHeld()
		}
	}
}

func (s *session) firstHeld() (first heldAnswer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.held) == 0 {
		return heldAnswer{}, false
	}
	return s.held[0], true
}

// dropHeld forgets the first answer, which is sent: only now may one that need
// not wait go past the queue.
func (s *session) dropHeld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heldBytes -= s.held[0].size()
	s.held[0] = heldAnswer{} // its payload is not held by the array any longer
	s.held = s.held[1:]
}

package broker

import (
	"errors"
	"net/http"
	"time"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// This file applies injected faults (package faults) and rate limits (package throttle).

var (
	errInjected  = errors.New("refused by an injected fault")
	errThrottled = errors.New("throttled")
)

// checkTwinRequest returns the status and the reason to refuse a twin request with. The
// reason is nil if the broker must carry the request out.
func (b *Broker) checkTwinRequest(s *session, kind throttle.Kind) (status int, reason error) {
	if status := b.faults.TwinStatus(s.id.String()); status != 0 {
		return status, errInjected
	}
	if _, ok := b.throttle.Take(kind, 1); !ok {
		return http.StatusTooManyRequests, errThrottled
	}
	return 0, nil
}

// loseRequest reports whether a fault drops a method call that could be delivered.
func (b *Broker) loseRequest(s *session) bool {
	lost := b.faults.MethodRequestLost(s.id.String())
	if lost {
		s.log.Info().Msg("method call dropped by an injected fault")
	}
	return lost
}

// deliver sends a method call, or sends it twice if a fault requires it. It reports
// whether the session accepted the call.
func (b *Broker) deliver(s *session, call message) bool {
	if !s.send(filterMethods, call) {
		return false
	}
	if b.faults.MethodDeliveredTwice(s.id.String()) {
		s.log.Info().Bool(fieldSent, s.send(filterMethods, call)).Msg("method call delivered twice by an injected fault")
	}
	return true
}

// cutByFault cuts the connection when a fault requires it. It returns at the end of the
// connection.
func (s *session) cutByFault() {
	if s.faults.AwaitCut(s.done, s.id.String(), s.since) {
		s.log.Info().Msg("connection cut by an injected fault")
		s.kill()
	}
}

// heldAnswer is an answer to a twin request that waits because of a fault.
type heldAnswer struct {
	message
	asked time.Time
}

// hold keeps an answer back if a fault requires it or if earlier answers are held, and
// reports whether it did. It cuts the connection if too many answers are held. It cannot
// block the reader of the connection instead, because that would stop pings too.
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
		s.log.Warn().Int(fieldMessages, waiting).Msg("too many answers held by an injected fault, connection cut")
		s.kill()
		return true
	}
	select {
	case s.wakeHeld <- struct{}{}:
	default: // a token is there already
	}
	return true
}

// release sends held answers in their order, until the connection ends.
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

// dropHeld removes the first answer after it is sent. Before that, later answers must not
// bypass the held ones.
func (s *session) dropHeld() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heldBytes -= s.held[0].size()
	s.held[0] = heldAnswer{} // releases the payload, which the array would keep in memory
	s.held = s.held[1:]
}

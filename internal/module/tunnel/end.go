package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

// The time that an ended tunnel has to send its remote end the reason. Then a remote end
// that takes no bytes is reset.
const (
	endTimeout      = 2 * time.Second
	shutdownTimeout = 4 * time.Second // longer for slow links, and within the container's grace period
)

// End ends the tunnels that which selects, and sends their remote ends the reason;
// wsconn chooses the close code. A tunnel that is being opened ends too: its Open returns
// the error that a new request would get. End returns the number of tunnels that it has
// ended, without those that were ended before. It does not wait: all are closed within
// 2 s.
//
// Change what Options.Camera and Options.Allow return first, and call End after that:
// then no tunnel that the old rules admitted is missed. End calls which while the Set is
// locked: which must not call the Set.
func (s *Set) End(which func(Info) bool, why reason.Code) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := 0
	for t := range s.slots {
		if which(t.info) && s.end(t, why, endTimeout) {
			ended++
		}
	}
	return ended
}

// end ends one tunnel, unless it was ended before, and resets its remote end after the
// timeout. The caller holds mu.
func (s *Set) end(t *slot, why reason.Code, timeout time.Duration) (first bool) {
	if t.resetTimer != nil {
		return false
	}
	t.end(reason.New(why, nil))
	t.resetTimer = time.AfterFunc(timeout, func() { s.reset(t) })
	return true
}

// reset resets the remote end of a tunnel that is still being closed.
func (s *Set) reset(t *slot) {
	s.mu.Lock()
	conn, ok := t.remote.(Resetter)
	_, live := s.slots[t]
	t.reset = ok && live
	s.mu.Unlock()
	if ok && live {
		_ = conn.Reset()
	}
}

// endedError returns the error for a tunnel that was ended during its dials: the error
// that a new request would get. It is nil if cause is not the reason of an End.
func endedError(cause error, t *slot, r tunnelopen.Request) error {
	if cause == nil {
		return nil
	}
	switch reason.Of(cause) {
	case reason.ShuttingDown:
		return tunnelopen.ShuttingDown()
	case reason.Disabled:
		return tunnelopen.Disabled()
	case reason.PolicyRemote:
		return tunnelopen.RemoteForbidden(r.RemoteEndpoint, cause)
	case reason.CameraRemoved, reason.CameraDisabled:
		return tunnelopen.PortUnavailable(r.LocalPort)
	case reason.CameraChanged:
		return tunnelopen.CameraUnreachable(t.camera.Target(), cause)
	default: // the caller has canceled: the dial has an error of its own
		return nil
	}
}

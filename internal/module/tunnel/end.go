package tunnel

import (
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
)

// How long a tunnel that was ended may take to tell its remote end. One whose peer
// takes no bytes is reset then.
const (
	endTime      = 2 * time.Second
	shutdownTime = 4 * time.Second // more for a slow link, well inside the container's grace period
)

// End ends the tunnels that which names, and tells their remote ends why: wsconn has
// the close codes. Those that are being opened end too, and their callers get the
// error that they would get if they asked now. It returns how many it has ended,
// without those that were ended before, and does not wait; all are closed within 2 s.
//
// Whoever changes what Options.Camera or Options.Allow answer calls End after the
// change: then no tunnel of before can slip through. which is called with the Set
// locked and must not call it.
func (s *Set) End(which func(Info) bool, why reason.Code) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := 0
	for t := range s.slots {
		if which(t.info) && s.end(t, why, endTime) {
			ended++
		}
	}
	return ended
}

// end ends one tunnel, unless it was ended before, and resets it after limit. The caller
// holds mu.
func (s *Set) end(t *slot, why reason.Code, limit time.Duration) (first bool) {
	if t.forced != nil {
		return false
	}
	t.end(reason.New(why, nil))
	t.forced = time.AfterFunc(limit, func() { s.reset(t) })
	return true
}

// reset ends a tunnel that still waits for its remote end.
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

// interrupted is the error for a tunnel that was ended before it was open, nil if
// cause is no reason to.
func interrupted(cause error, t *slot, r tunnelopen.Request) error {
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
	default: // the caller is gone
		return nil
	}
}

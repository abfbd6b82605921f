package rtspout

import (
	"sync"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// slots count the readers that the limits of viewers allow: those that play, and those that
// a DESCRIBE has attached.
type slots struct {
	mu       sync.Mutex
	limits   Limits
	taken    int
	byCamera map[string]int
}

func (s *slots) set(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
}

// acquire returns a function that gives the slot back. It is called once.
func (s *slots) acquire(camera string) (release func(), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.limits.Viewers || s.byCamera[camera] >= s.limits.ViewersPerCamera {
		return nil, failure.New(failure.Gateway, reason.LimitViewers, nil)
	}
	if s.byCamera == nil {
		s.byCamera = map[string]int{}
	}
	s.taken++
	s.byCamera[camera]++
	return func() { s.release(camera) }, nil
}

func (s *slots) release(camera string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.byCamera[camera]--
	if s.byCamera[camera] == 0 {
		delete(s.byCamera, camera)
	}
}

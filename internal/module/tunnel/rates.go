package tunnel

import "rtsptunnel/internal/wire/pace"

// Rates limit the bits per second that tunnels carry, in both directions together. They
// count the bytes of camera and remote end, without the overhead of WebSocket and TLS.
// Zero is no limit.
type Rates struct {
	All      int64            // all tunnels together
	ByCamera map[string]int64 // a camera's tunnels together, by its name
}

// Pace changes the rates, for open tunnels too. It drops no bytes and ends no tunnel: a
// sender that is too fast is read later (backpressure). The caller does not change
// r.ByCamera afterwards.
func (s *Set) Pace(r Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rates = r
	s.rate.Set(r.All)
	for name, use := range s.byCamera {
		use.rate.Set(r.ByCamera[name])
	}
}

// join counts a new tunnel of a camera, and returns the pace that limits it. The caller
// holds mu.
func (s *Set) join(camera string) *pace.Pace {
	use := s.byCamera[camera]
	if use == nil {
		use = &cameraUse{}
		use.rate.Set(s.rates.ByCamera[camera])
		s.byCamera[camera] = use
	}
	use.slots++
	return pace.New(&use.rate, &s.rate)
}

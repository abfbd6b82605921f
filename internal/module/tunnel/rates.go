package tunnel

import "rtsptunnel/internal/wire/pace"

// Rates are how many bits a second tunnels may carry, of what camera and remote end
// send: both ways together. Zero is no limit.
type Rates struct {
	All      int64            // all tunnels together
	ByCamera map[string]int64 // a camera's tunnels together, by its name
}

// Pace puts other rates in force, at once and for tunnels that are open too. It ends
// none: what is too fast is read later. The caller leaves r.ByCamera as it is.
func (s *Set) Pace(r Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rates = r
	s.rate.Set(r.All)
	for name, of := range s.byCamera {
		of.rate.Set(r.ByCamera[name])
	}
}

// join takes a place among a camera's tunnels and returns the pace that it is held to.
// The caller holds mu.
func (s *Set) join(camera string) *pace.Pace {
	of := s.byCamera[camera]
	if of == nil {
		of = &share{}
		of.rate.Set(s.rates.ByCamera[camera])
		s.byCamera[camera] = of
	}
	of.slots++
	return pace.New(&of.rate, &s.rate)
}

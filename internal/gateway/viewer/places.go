package viewer

import (
	"net/netip"
	"sync"

	"rtsptunnel/internal/base/peer"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Limits bound how many viewers there are at once. A zero bounds nothing.
type Limits struct {
	Total      int
	PerCamera  int
	PerAddress int // the addresses of an IPv6 /64 network count as one
}

// places are what the limits count: those of viewers, and reserved ones.
type places struct {
	mu        sync.Mutex
	limits    Limits
	taken     int
	byCamera  map[string]int
	byAddress map[netip.Prefix]int
}

func (p *places) set(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = l
}

// Reserve takes a place without a viewer, for an output that has a list of its own. It is not
// bound per address if from is the zero Addr, and per address alone if camera is empty. The
// error is LIMIT_VIEWERS. The caller calls release, which gives the place back; further calls
// of it do nothing.
func (s *Set) Reserve(camera string, from netip.Addr) (release func(), _ error) {
	place, err := s.places.take(camera, from)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(place), nil
}

// take returns a function that gives the place back. It is called once.
func (p *places) take(camera string, from netip.Addr) (release func(), _ error) {
	network := peer.Network(from)
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.limits
	switch {
	case camera != "" && (full(p.taken, l.Total) || full(p.byCamera[camera], l.PerCamera)),
		full(p.byAddress[network], l.PerAddress): // no address has no entry
		return nil, failure.New(failure.Gateway, reason.LimitViewers, nil)
	}
	p.count(camera, from, 1)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.count(camera, from, -1)
	}, nil
}

func full(n, limit int) bool { return limit > 0 && n >= limit }

// count adds to what is taken. The caller holds the lock.
func (p *places) count(camera string, from netip.Addr, n int) {
	if camera != "" {
		p.taken += n
		add(p.byCamera, camera, n)
	}
	if from.IsValid() {
		add(p.byAddress, peer.Network(from), n)
	}
}

// add keeps no entry of zero: strangers choose the keys.
func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}

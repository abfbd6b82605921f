package wsconn

import (
	"crypto/tls"
	"sync/atomic"
)

// Sessions are TLS sessions with endpoints, so that the next tunnel to the same
// endpoint, host and port, is opened with a shorter handshake. What they prove is
// what was verified when they began: whoever changes the roots or the policy calls
// Forget.
type Sessions struct {
	cache atomic.Pointer[tls.ClientSessionCache]
}

// maxSessions is of how many endpoints a session is kept.
const maxSessions = 64

// NewSessions is without any.
func NewSessions() *Sessions {
	s := &Sessions{}
	s.Forget()
	return s
}

// Forget drops all of them.
func (s *Sessions) Forget() {
	cache := tls.NewLRUClientSessionCache(maxSessions)
	s.cache.Store(&cache)
}

// of is an endpoint's cache, nil without Sessions. A handshake that has begun before
// Forget leaves its session with what was forgotten.
func (s *Sessions) of(address string) tls.ClientSessionCache {
	if s == nil {
		return nil
	}
	return endpointSession{cache: *s.cache.Load(), address: address}
}

// endpointSession keys sessions by host and port: crypto/tls does by host alone.
type endpointSession struct {
	cache   tls.ClientSessionCache
	address string
}

func (e endpointSession) Get(string) (*tls.ClientSessionState, bool) { return e.cache.Get(e.address) }

func (e endpointSession) Put(_ string, s *tls.ClientSessionState) { e.cache.Put(e.address, s) }

package wsconn

import (
	"crypto/tls"
	"sync/atomic"
)

// Sessions caches TLS sessions by endpoint (host and port), so that the next tunnel to
// an endpoint needs a shorter handshake. A resumed session relies on the verification of
// the first handshake: a caller that changes the roots or the policy calls Forget. It is
// safe for concurrent use.
type Sessions struct {
	cache atomic.Pointer[tls.ClientSessionCache]
}

// maxSessions is the number of endpoints whose session is kept.
const maxSessions = 64

// NewSessions returns an empty cache.
func NewSessions() *Sessions {
	s := &Sessions{}
	s.Forget()
	return s
}

// Forget drops all sessions, also those of handshakes that have started.
func (s *Sessions) Forget() {
	cache := tls.NewLRUClientSessionCache(maxSessions)
	s.cache.Store(&cache)
}

// cacheFor returns the cache for a handshake with address, nil without Sessions. The
// handshake uses it to its end, even if Forget replaces it in the meantime.
func (s *Sessions) cacheFor(address string) tls.ClientSessionCache {
	if s == nil {
		return nil
	}
	return endpointSession{cache: *s.cache.Load(), address: address}
}

// endpointSession keys sessions by host and port: crypto/tls uses the host only.
type endpointSession struct {
	cache   tls.ClientSessionCache
	address string
}

var _ tls.ClientSessionCache = endpointSession{}

func (e endpointSession) Get(string) (*tls.ClientSessionState, bool) { return e.cache.Get(e.address) }

func (e endpointSession) Put(_ string, s *tls.ClientSessionState) { e.cache.Put(e.address, s) }

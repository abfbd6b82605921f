package gateway

import (
	"slices"
	"sync"
	"time"

	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/contract/reason"
)

// The parts of the gateway in /readyz.
const (
	partConfig    = "configuration"
	partRestart   = "restart"
	partTLS       = "certificate"
	partHubs      = "hubs"
	partCameras   = "cameras"
	partTwins     = "twins"
	partListeners = "listeners"
	partShutdown  = "shutdown"
	partData      = "data folder"
)

// status is what /livez and /readyz show. Its methods are safe for concurrent use.
type status struct {
	within time.Duration // the maximum time between two turns of the reloading loop

	mu      sync.Mutex
	turn    time.Time // of the reloading loop
	missing []health.Missing
	notes   []health.Missing
}

var (
	_ health.Program = (*status)(nil)
	_ health.Noter   = (*status)(nil)
)

// set replaces the entry of a part; an empty text removes it. The time of an entry with the
// same text stays.
func set(list []health.Missing, part string, code reason.Code, text string) []health.Missing {
	i := slices.IndexFunc(list, func(m health.Missing) bool { return m.Part == part })
	switch {
	case text == "" && i < 0, i >= 0 && list[i].Text == text:
		return list
	case i >= 0:
		list = slices.Delete(slices.Clone(list), i, i+1)
	}
	if text == "" {
		return list
	}
	return append(slices.Clip(list), health.Missing{Part: part, Reason: string(code), Text: text, Since: time.Now().UTC().Truncate(time.Second)})
}

// lack sets why the gateway is not ready.
func (s *status) lack(part string, code reason.Code, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = set(s.missing, part, code, text)
}

// note sets what an operator should know of a ready gateway.
func (s *status) note(part string, code reason.Code, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = set(s.notes, part, code, text)
}

// alive records a turn of the reloading loop.
func (s *status) alive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn = time.Now()
}

// Loops returns the reloading loop.
func (s *status) Loops() []health.Loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []health.Loop{{Name: "configuration", Last: s.turn, Within: s.within}}
}

// Missing returns why the gateway is not ready.
func (s *status) Missing() []health.Missing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.missing)
}

// Notes returns what an operator should know.
func (s *status) Notes() []health.Missing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

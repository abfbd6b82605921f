package edge

import (
	"sync"
	"time"
)

// State is how the connection with the hub is, at one moment. Times are zero while
// they mean nothing.
type State struct {
	Connected  bool      // the hub accepted the login, and the connection lasts
	Subscribed bool      // direct methods are subscribed, and a twin read after that came back
	Since      time.Time // when the connection began, or the last one ended

	// LastProgress is when the hub last answered a request or called a method.
	LastProgress time.Time
	// LastTurn is when Run's loop went round last. While Run is well that is never
	// longer ago than two minutes, whatever the hub does.
	LastTurn time.Time

	Attempts     int       // to connect, from the start on
	Reconnects   int       // connections that followed an earlier one
	NextAttempt  time.Time // while Run waits for it
	TokenExpires time.Time // of the connection; zero with a certificate
}

// State may be called at any time, by anybody.
func (c *Client) State() State {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	return c.state.now
}

// state is a State that changes.
type state struct {
	mu  sync.Mutex
	now State
}

func (s *state) change(f func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.now)
	s.now.LastTurn = time.Now()
}

// turned tells that Run's loop goes round.
func (s *state) turned() { s.change(func(*State) {}) }

// progress tells that the hub answered or called. It is no sign of Run's loop.
func (s *state) progress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.LastProgress = time.Now()
}

func (s *state) waits(until time.Time) { s.change(func(s *State) { s.NextAttempt = until }) }

func (s *state) attempts() {
	s.change(func(s *State) { s.Attempts++; s.NextAttempt = time.Time{} })
}

func (s *state) connected(expires time.Time) {
	s.change(func(s *State) {
		if !s.Since.IsZero() {
			s.Reconnects++
		}
		s.Connected, s.Subscribed, s.Since, s.TokenExpires = true, false, time.Now(), expires
	})
}

func (s *state) subscribed() { s.change(func(s *State) { s.Subscribed = true }) }

// disconnected tells that a connection ended.
func (s *state) disconnected() {
	s.change(func(s *State) {
		if s.Connected {
			s.Connected, s.Subscribed, s.Since, s.TokenExpires = false, false, time.Now(), time.Time{}
		}
	})
}

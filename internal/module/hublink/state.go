package hublink

import (
	"sync"
	"time"
)

// State describes the connection with the hub at one moment. A time is zero while it does
// not apply.
type State struct {
	Connected  bool      // the hub accepted the credentials, and the connection lasts
	Subscribed bool      // direct methods are subscribed, and the hub answered a twin read after that
	Since      time.Time // when the connection began, or the last one ended

	// LastProgress is when the hub last answered a request or called a method.
	LastProgress time.Time
	// LastTurn is when Run's loop last turned. While Run works it is at most two minutes
	// ago, whatever the hub does.
	LastTurn time.Time

	Attempts     int       // to connect, since the start
	Reconnects   int       // connections that followed an earlier one
	NextAttempt  time.Time // while Run waits for it
	TokenExpires time.Time // of the connection; zero with a certificate
}

// State returns the current state. It may be called at any time, by several goroutines.
func (l *Link) State() State {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.now
}

// state is the State that Run updates.
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

// turned notes a turn of Run's loop.
func (s *state) turned() { s.change(func(*State) {}) }

// progress notes that the hub answered or called. That says nothing about Run's loop.
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

// disconnected notes that the connection ended, if there was one.
func (s *state) disconnected() {
	s.change(func(s *State) {
		if s.Connected {
			s.Connected, s.Subscribed, s.Since, s.TokenExpires = false, false, time.Now(), time.Time{}
		}
	})
}

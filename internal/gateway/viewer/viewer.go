// Package viewer is the register of those who watch, over all outputs. It bounds how many
// there are, counts what they get, and ends them: one by one, when their right to watch ends,
// and when the gateway shuts down.
//
// Code belongs here if it is about viewers as such. The package knows no protocol: an output
// adds a viewer, reports what it sends, and removes it.
package viewer

import (
	"context"
	"crypto/rand"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

// Info describes a viewer.
type Info struct {
	Camera     string // full name
	Stream     string
	Output     string // such as "mse": one of a closed set, because it is a metric's label
	RemoteAddr string // the client's address, with or without a port
	Principal  access.Principal
}

// Set is all viewers. Its methods are safe for concurrent use.
type Set struct {
	places places

	mu        sync.Mutex
	all       map[string]*Viewer
	totals    map[string]*counters // by output
	closing   *failure.Failure     // of Shutdown
	empty     chan struct{}        // closed when closing, and no viewer is left
	firstUnit func(output string, took time.Duration)
}

// New returns a set without viewers.
func New(l Limits) *Set {
	return &Set{
		places: places{limits: l, byCamera: map[string]int{}, byAddress: map[netip.Prefix]int{}},
		all:    map[string]*Viewer{}, totals: map[string]*counters{}, empty: make(chan struct{}),
		firstUnit: func(string, time.Duration) {},
	}
}

// OnFirstUnit sets what gets the time from a viewer's request to its first media. It is called
// before the first Add.
func (s *Set) OnFirstUnit(f func(output string, took time.Duration)) { s.firstUnit = f }

// SetLimits replaces the limits. Viewers that are above a new one stay.
func (s *Set) SetLimits(l Limits) { s.places.set(l) }

// Viewer is one client that watches. Its methods are safe for concurrent use.
type Viewer struct {
	set    *Set
	id     string
	info   Info
	since  time.Time
	total  *counters // of the output
	place  func()    // gives the viewer's place back
	expiry *time.Timer
	ending func(cause error) // nil once it was called, or the viewer has closed; guarded by set.mu

	bytes, skipped   atomic.Uint64
	started, stalled atomic.Bool
}

// Add registers a viewer until its Close. The set calls end at most once: when an operator
// disconnects the viewer, when its principal expires, when Review refuses it, or at Shutdown.
// It does not call end once Close has returned, unless end was already running. end is called
// without a lock, in another goroutine than Add's; it must return soon, and may call Close.
// The errors are LIMIT_VIEWERS and SHUTTING_DOWN.
func (s *Set) Add(i Info, end func(cause error)) (*Viewer, error) {
	place, err := s.places.take(i.Camera, addressOf(i.RemoteAddr))
	if err != nil {
		s.total(i.Output).refused.Add(1)
		return nil, err
	}
	v := &Viewer{
		set: s, id: strings.ToLower(rand.Text()[:10]), info: i, since: time.Now(), total: s.total(i.Output), place: place, ending: end,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		place()
		v.total.refused.Add(1)
		return nil, s.closing
	}
	s.all[v.id] = v
	v.total.viewers.Add(1)
	if at := i.Principal.Expires; !at.IsZero() {
		v.expiry = time.AfterFunc(time.Until(at), func() { v.end(failure.New(failure.Viewer, reason.AccessExpired, nil)) })
	}
	return v, nil
}

// addressOf returns the address of a client; the zero Addr for a text without one.
func addressOf(remote string) netip.Addr {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr()
	}
	a, _ := netip.ParseAddr(remote)
	return a
}

// ID returns the name by which an operator disconnects the viewer. It is no secret.
func (v *Viewer) ID() string { return v.id }

// Sent counts bytes of media that were written.
func (v *Viewer) Sent(bytes int) {
	n := uint64(max(bytes, 0))
	v.bytes.Add(n)
	v.total.bytes.Add(n)
}

// Skip counts groups of pictures that the viewer did not get.
func (v *Viewer) Skip(groups uint64) {
	v.skipped.Add(groups)
	v.total.skipped.Add(groups)
}

// FirstUnit records the time from the viewer's request to its first media; calls after the
// first one do nothing.
func (v *Viewer) FirstUnit(took time.Duration) {
	if v.started.CompareAndSwap(false, true) {
		v.set.firstUnit(v.info.Output, took)
	}
}

// Stalled counts the viewer as one that ended because it did not read.
func (v *Viewer) Stalled() {
	if v.stalled.CompareAndSwap(false, true) {
		v.total.stalled.Add(1)
	}
}

// Close removes the viewer. Further calls do nothing.
func (v *Viewer) Close() {
	s := v.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[v.id] != v {
		return
	}
	delete(s.all, v.id)
	v.ending = nil
	if v.expiry != nil {
		v.expiry.Stop()
	}
	v.total.viewers.Add(-1)
	v.place()
	s.check()
}

// end calls ending unless it was called, or the viewer has closed.
func (v *Viewer) end(cause error) {
	v.set.mu.Lock()
	end := v.ending
	v.ending = nil
	v.set.mu.Unlock()
	if end != nil {
		end(cause)
	}
}

// Disconnect ends the viewer with an id. It returns false if there is none.
func (s *Set) Disconnect(id string, cause error) bool {
	s.mu.Lock()
	v := s.all[id]
	s.mu.Unlock()
	if v == nil {
		return false
	}
	v.end(cause)
	return true
}

// Review calls current for each viewer, and ends those for which it returns an error. A caller
// that changes tokens or grants calls it.
func (s *Set) Review(current func(p access.Principal, camera string) error) {
	for _, v := range s.snapshot() {
		if err := current(v.info.Principal, v.info.Camera); err != nil {
			v.end(err)
		}
	}
}

// Shutdown refuses new viewers, ends all with SHUTTING_DOWN, and waits until they have closed
// or ctx is done.
func (s *Set) Shutdown(ctx context.Context) {
	cause := failure.New(failure.Gateway, reason.ShuttingDown, nil)
	s.mu.Lock()
	s.closing = cause
	s.check()
	s.mu.Unlock()
	for _, v := range s.snapshot() {
		v.end(cause)
	}
	select {
	case <-s.empty:
	case <-ctx.Done():
	}
}

// check closes empty. The caller holds the lock.
func (s *Set) check() {
	if s.closing == nil || len(s.all) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

func (s *Set) snapshot() []*Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Viewer, 0, len(s.all))
	for _, v := range s.all {
		list = append(list, v)
	}
	return list
}

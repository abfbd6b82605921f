package rtspout

import (
	"maps"
	"slices"
	"sync"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// players are those that play.
type players struct {
	mu      sync.Mutex
	all     map[string]*player
	closing bool
	none    chan struct{} // closed when closing, and no player is left
	running sync.WaitGroup
}

// start runs p, unless the server shuts down.
func (ps *players) start(p *player) (*player, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closing {
		p.a.closeReader(p.reader)
		return nil, failure.New(failure.Gateway, reason.ShuttingDown, nil)
	}
	if ps.all == nil {
		ps.all = map[string]*player{}
	}
	ps.all[p.id] = p
	ps.running.Go(p.run)
	return p, nil
}

func (ps *players) remove(p *player) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.all, p.id)
	ps.check()
}

// check closes none. The caller holds the lock.
func (ps *players) check() {
	if ps.closing && len(ps.all) == 0 {
		select {
		case <-ps.none:
		default:
			close(ps.none)
		}
	}
}

// end ends the player with an id.
func (ps *players) end(id string, cause error) bool {
	ps.mu.Lock()
	p := ps.all[id]
	ps.mu.Unlock()
	if p == nil {
		return false
	}
	p.end(failure.Of(cause))
	return true
}

// review ends the players for which current returns an error.
func (ps *players) review(current func(p Principal, camera string) error) {
	ps.mu.Lock()
	all := slices.Collect(maps.Values(ps.all))
	ps.mu.Unlock()
	for _, p := range all {
		if err := current(p.a.principal, p.a.camera); err != nil {
			p.end(failure.Of(err))
		}
	}
}

// endAll ends all players, and refuses others from now on.
func (ps *players) endAll(cause error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !ps.closing {
		ps.closing, ps.none = true, make(chan struct{})
	}
	for _, p := range ps.all {
		p.end(cause)
	}
	ps.check()
}

// empty is closed when endAll was called and all players have ended.
func (ps *players) empty() <-chan struct{} { return ps.none }

// wait waits until no goroutine of a player runs.
func (ps *players) wait() { ps.running.Wait() }

// count returns how many players of an output there are.
func (ps *players) count(output string) (n int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.all {
		if p.conn.output() == output {
			n++
		}
	}
	return n
}

func (ps *players) viewers() []Viewer {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	list := make([]Viewer, 0, len(ps.all))
	for _, p := range ps.all {
		list = append(list, Viewer{
			ID: p.id, Camera: p.a.camera, Stream: p.a.stream, Principal: p.a.principal.Name,
			RemoteAddr: p.conn.remote.String(), Output: p.conn.output(), Since: p.begin,
			Bytes: p.bytes.Load(), Skipped: p.skipped.Load(),
		})
	}
	return list
}

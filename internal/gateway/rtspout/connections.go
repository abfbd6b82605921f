package rtspout

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"rtsptunnel/internal/base/peer"
)

// connections are the open connections. Strangers cannot keep players out: if the limit is
// reached, a stranger makes room. It is the oldest one of the network that has most of them,
// so that many connections of one network do not end a player's before it has logged in. If
// there is none, a connection makes room that has logged in, but has no stream: nothing else
// bounds how many of them one user has.
type connections struct {
	mu        sync.Mutex
	limit     int
	all       map[*conn]*list.Element     // nil for those that have authenticated
	strangers map[netip.Prefix]*list.List // of *conn, the oldest first; no list is empty
}

func (cs *connections) setLimit(n int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.limit = n
}

// add returns false if no connection is allowed. The caller closes evicted, which may be
// nil.
func (cs *connections) add(c *conn) (evicted *conn, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all, cs.strangers = map[*conn]*list.Element{}, map[netip.Prefix]*list.List{}
	}
	if len(cs.all) >= cs.limit {
		if evicted = cs.worst(); evicted == nil {
			evicted = cs.spare()
		}
		if evicted == nil {
			return nil, false
		}
		cs.forget(evicted)
	}
	network := peer.Network(c.from())
	if cs.strangers[network] == nil {
		cs.strangers[network] = list.New()
	}
	cs.all[c] = cs.strangers[network].PushBack(c)
	return evicted, true
}

// worst returns the stranger that makes room, or nil. The caller holds mu.
func (cs *connections) worst() (worst *conn) {
	most := 0
	for _, l := range cs.strangers {
		oldest := l.Front().Value.(*conn)
		if n := l.Len(); n > most || n == most && oldest.opened.Before(worst.opened) {
			worst, most = oldest, n
		}
	}
	return worst
}

// spare returns the connection that has logged in and is without a stream for the longest
// time, or nil. The caller holds mu.
func (cs *connections) spare() (spare *conn) {
	now := time.Now()
	for c := range cs.all {
		if c.isSpare(now) && (spare == nil || c.lastHeld.Load() < spare.lastHeld.Load()) {
			spare = c
		}
	}
	return spare
}

// known marks c as authenticated.
func (cs *connections) known(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, ok := cs.all[c]; ok {
		cs.forget(c)
		cs.all[c] = nil
	}
}

// remove removes c if it is there.
func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.forget(c)
}

func (cs *connections) forget(c *conn) {
	if e := cs.all[c]; e != nil {
		network := peer.Network(c.from())
		l := cs.strangers[network]
		if l.Remove(e); l.Len() == 0 {
			delete(cs.strangers, network)
		}
	}
	delete(cs.all, c)
}

func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.all)
}

func (cs *connections) closeAll() {
	cs.mu.Lock()
	var all []*conn
	for c := range cs.all {
		all = append(all, c)
	}
	cs.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

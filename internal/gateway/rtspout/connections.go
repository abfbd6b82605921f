package rtspout

import (
	"container/list"
	"sync"
)

// connections are the open connections. Strangers cannot keep players out: if the limit is
// reached, the connection that has been a stranger for the longest time makes room.
type connections struct {
	limit int

	mu        sync.Mutex
	all       map[*conn]*list.Element // nil for those that have authenticated
	strangers list.List               // of *conn, the oldest first
}

// add returns false if no connection is allowed. The caller closes evicted, which may be
// nil.
func (cs *connections) add(c *conn) (evicted *conn, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.all == nil {
		cs.all = map[*conn]*list.Element{}
	}
	if len(cs.all) >= cs.limit {
		oldest := cs.strangers.Front()
		if oldest == nil {
			return nil, false
		}
		evicted = oldest.Value.(*conn)
		cs.forget(evicted)
	}
	cs.all[c] = cs.strangers.PushBack(c)
	return evicted, true
}

// known marks c as authenticated.
func (cs *connections) known(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if e, ok := cs.all[c]; ok && e != nil {
		cs.strangers.Remove(e)
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
		cs.strangers.Remove(e)
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

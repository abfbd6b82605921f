package api

import (
	"container/list"
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	"rtsptunnel/internal/base/peer"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

const (
	// Clients that read events at once: in all, with one token, and from one address. A wall
	// of a control room is a page in each of its browsers.
	maxSubscribers  = 1000
	maxPerPrincipal = 256
	maxPerAddress   = 64

	// eventsEvery is the least time between two events of a camera, and rebuildEvery between
	// two looks at all cameras.
	eventsEvery  = 250 * time.Millisecond
	rebuildEvery = time.Second
	// removedFor is how long a camera that is gone stays listed. A client that takes longer to
	// read what it has to is ended before.
	removedFor = 2 * time.Minute
)

// feed has the newest event of each camera, once for all clients, while there are clients.
// Without changes it does nothing, whatever the number of cameras and clients is.
type feed struct {
	source *API

	mu          sync.Mutex
	run         *feedRun // nil without subscribers
	subscribers int
	byPrincipal map[string]int // by the token's ID
	byAddress   map[netip.Prefix]int
}

// join adds a subscriber; the first one starts the run. The caller calls leave once, which
// waits for the run's end after the last one. The error is LIMIT_EVENTS.
func (f *feed) join(ctx context.Context, p access.Principal, from netip.Addr) (run *feedRun, leave func(), _ error) {
	network := peer.Network(from)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers >= maxSubscribers || f.byPrincipal[p.ID] >= maxPerPrincipal || f.byAddress[network] >= maxPerAddress {
		return nil, nil, failure.New(failure.Gateway, reason.LimitEvents, nil).At(time.Time{}, time.Now().Add(10*time.Second))
	}
	if f.run == nil {
		f.run = startFeed(context.WithoutCancel(ctx), f.source) // it outlives the first subscriber
		f.byPrincipal, f.byAddress = map[string]int{}, map[netip.Prefix]int{}
	}
	f.subscribers++
	f.byPrincipal[p.ID]++
	f.byAddress[network]++
	return f.run, func() { f.leave(p.ID, network) }, nil
}

func (f *feed) leave(principal string, network netip.Prefix) {
	f.mu.Lock()
	var ended *feedRun
	if f.subscribers--; f.subscribers == 0 {
		ended, f.run = f.run, nil
	}
	decrease(f.byPrincipal, principal)
	decrease(f.byAddress, network)
	f.mu.Unlock()
	if ended != nil {
		ended.end()
	}
}

// decrease keeps no entry of zero: clients choose the keys.
func decrease[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// wake makes all subscribers look again whether they may read.
func (f *feed) wake() {
	f.mu.Lock()
	run := f.run
	f.mu.Unlock()
	if run != nil {
		run.mu.Lock()
		defer run.mu.Unlock()
		run.publish()
	}
}

// event is the newest state of a camera. It does not change.
type event struct {
	seq     uint64 // rises with each event
	camera  string
	data    []byte // JSON: the camera, or its name alone if it was removed
	removed time.Time
}

// feedRun is a feed from its first subscriber to its last one.
type feedRun struct {
	source *API
	cancel context.CancelFunc
	done   sync.WaitGroup
	marked chan struct{} // holds a token if something is in dirty or all
	ready  chan struct{} // closed when all cameras have their event

	cameras map[string]Camera // of the newest look; loop alone uses it

	mu     sync.Mutex
	all    bool            // look at all cameras
	dirty  map[string]bool // look at these
	seq    uint64
	order  list.List // of event, the newest last
	byName map[string]*list.Element
	next   chan struct{} // closed at the next change
}

func startFeed(ctx context.Context, source *API) *feedRun {
	ctx, cancel := context.WithCancel(ctx)
	r := &feedRun{
		source: source, cancel: cancel, marked: make(chan struct{}, 1), ready: make(chan struct{}), all: true,
		dirty: map[string]bool{}, byName: map[string]*list.Element{}, next: make(chan struct{}),
	}
	r.done.Go(func() { source.Watch(ctx, r.mark) })
	r.done.Go(func() { r.loop(ctx) })
	return r
}

// end ends the run, and waits until it has ended.
func (r *feedRun) end() {
	r.cancel()
	r.done.Wait()
}

// mark notes a change of a camera, or of any if the name is empty.
func (r *feedRun) mark(camera string) {
	r.mu.Lock()
	if camera == "" {
		r.all = true
	} else {
		r.dirty[camera] = true
	}
	r.mu.Unlock()
	select {
	case r.marked <- struct{}{}:
	default:
	}
}

// loop makes events of changes: the first one at once, and those of the time after it together.
func (r *feedRun) loop(ctx context.Context) {
	for {
		pause := r.look()
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-r.marked:
		}
	}
}

// look makes the events of what was marked. It returns the time to the next look.
func (r *feedRun) look() time.Duration {
	r.mu.Lock()
	all, dirty := r.all, r.dirty
	r.all, r.dirty = false, map[string]bool{}
	r.mu.Unlock()
	viewers := r.source.viewersByCamera()
	if all {
		r.lookAtAll(viewers)
		return rebuildEvery
	}
	var changed []*event
	for name := range dirty {
		if c, there := r.cameras[name]; there { // others come with a look at all
			changed = append(changed, r.eventOf(c, viewers[name]))
		}
	}
	r.put(changed)
	return eventsEvery
}

func (r *feedRun) lookAtAll(viewers map[string]int) {
	cameras := r.source.Cameras()
	r.cameras = make(map[string]Camera, len(cameras))
	events := make([]*event, 0, len(cameras))
	for _, c := range cameras {
		r.cameras[c.Name] = c
		events = append(events, r.eventOf(c, viewers[c.Name]))
	}
	r.put(append(events, r.gone()...))
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

// eventOf returns the event of a camera; nil for one that cannot be encoded, which no camera is.
func (r *feedRun) eventOf(c Camera, viewers int) *event {
	data, err := json.Marshal(r.source.view(c, viewers, ""))
	if err != nil {
		return nil
	}
	return &event{camera: c.Name, data: data}
}

// gone returns the events of cameras that are no longer there, and forgets old ones.
func (r *feedRun) gone() []*event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []*event
	for name, at := range r.byName {
		e, _ := at.Value.(*event)
		switch _, there := r.cameras[name]; {
		case there:
		case e.removed.IsZero():
			data, _ := json.Marshal(map[string]string{"name": name}) // text always encodes
			events = append(events, &event{camera: name, data: data, removed: time.Now()})
		case time.Since(e.removed) > removedFor:
			r.order.Remove(at)
			delete(r.byName, name)
		}
	}
	return events
}

// put publishes the events that differ from the ones before.
func (r *feedRun) put(events []*event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := false
	for _, e := range events {
		if e == nil {
			continue
		}
		if at := r.byName[e.camera]; at != nil {
			last, _ := at.Value.(*event)
			if string(last.data) == string(e.data) {
				continue
			}
			r.order.Remove(at)
		}
		r.seq++
		e.seq = r.seq
		r.byName[e.camera] = r.order.PushBack(e)
		changed = true
	}
	if changed {
		r.publish()
	}
}

// publish wakes the subscribers. The caller holds mu.
func (r *feedRun) publish() {
	close(r.next)
	r.next = make(chan struct{})
}

// after returns the newest event of each camera that changed after seq, in the order of the
// changes, and what is closed at the next change.
func (r *feedRun) after(seq uint64) ([]*event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, first := 0, r.order.Back()
	for at := first; at != nil; at = at.Prev() {
		if e, _ := at.Value.(*event); e.seq <= seq {
			break
		}
		n, first = n+1, at
	}
	events := make([]*event, 0, n)
	for ; n > 0; n-- {
		e, _ := first.Value.(*event)
		events, first = append(events, e), first.Next()
	}
	return events, r.next
}

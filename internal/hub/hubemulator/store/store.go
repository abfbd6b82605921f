// Package store holds what a hub knows of its devices and modules: their
// identities with keys, their twins, and what they have subscribed to; and the
// configurations that services have written, whose meaning is another's business.
//
// It is in memory, has one lock and does no I/O; all it wants of the outside
// is the time. Everything it returns is a copy. Whoever wants to hear of
// changed desired properties registers with Store.OnDesired, of what target
// conditions see with Store.OnDevice; whoever keeps the store over a crash, with
// Store.KeepWith; it writes what Snapshot returns, and
// begins with what Load reads.
package store

import (
	"sync"
)

// Store is the registry of one hub. The zero value is not usable; see New.
// All methods are safe for concurrent use.
type Store struct {
	mu             sync.Mutex
	entries        map[ID]*entry
	modules        map[string]map[string]*entry // the same, by device and by module
	configurations map[string]Configuration
	// writes counts the changes of settings; it makes their etags.
	writes int64
	// revision counts all changes that must outlive the process.
	revision int64
	keep     func(revision int64) error
	// byName are the entries as Snapshot writes them; nil after one was made
	// or removed.
	byName []*entry

	// Changes not yet handed to observe, oldest first. Those up to revision
	// settled may be: they are kept, or were tried to be. notifying is true
	// while some goroutine hands them over, which makes it the only one to
	// do so and keeps the order without a lock held during the call.
	observe   func(DesiredPatch)
	onDevice  func(device string) // nil if nobody wants to know
	changes   []DesiredPatch
	settled   int64
	notifying bool
}

// entry is one identity with its twin.
type entry struct {
	identity Identity

	tags     map[string]any
	desired  section
	reported section
	// configurations are the statuses of configurations that target it, by id.
	configurations map[string]string
	// updates counts the changes of what the service owns; it makes the
	// twin's etag.
	updates int64
	// version counts all changes of the twin.
	version int64

	// subscriptions are the topic filters of the identity's session with the
	// broker; nil if there is no session that outlives its connection.
	subscriptions map[string]bool

	// encoded is the entry as Snapshot writes it; nil if it has changed since.
	encoded []byte
}

// New returns an empty store.
func New() *Store {
	return &Store{
		entries:        make(map[ID]*entry),
		modules:        make(map[string]map[string]*entry),
		configurations: make(map[string]Configuration),
	}
}

// OnDesired sets the function that is told of every change of desired
// properties, in version order for each identity, and once the change is kept
// (see Keep). It is called without the lock held, so it may use the store, but
// it must return soon: it runs on the goroutine of whoever made a change, not
// always this one. Call it before the first change.
func (s *Store) OnDesired(observe func(DesiredPatch)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe = observe
}

// OnDevice sets the function that is told of every change of what target conditions
// see: tags and reported properties of IoT Edge devices, and new ones. It is called
// without the lock held, on the goroutine that made the change and before its call
// returns. Call it before the first change.
func (s *Store) OnDevice(observe func(device string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onDevice = observe
}

// tellDevice calls that function, if i is an IoT Edge device.
func (s *Store) tellDevice(i Identity) {
	s.mu.Lock()
	tell := s.onDevice
	s.mu.Unlock()
	if tell != nil && i.IoTEdge {
		tell(i.ID.Device)
	}
}

// changed notes a change of e that must outlive the process. The caller holds
// the lock.
func (s *Store) changed(e *entry) {
	s.revision++
	e.identity.Revision = s.revision
	e.encoded = nil
}

// add takes up an entry. The caller holds the lock.
func (s *Store) add(e *entry) {
	id := e.identity.ID
	s.entries[id] = e
	s.byName = nil
	if id.Module == "" {
		return
	}
	if s.modules[id.Device] == nil {
		s.modules[id.Device] = make(map[string]*entry)
	}
	s.modules[id.Device][id.Module] = e
}

// remove drops an entry. The caller holds the lock.
func (s *Store) remove(id ID) {
	delete(s.entries, id)
	delete(s.modules[id.Device], id.Module)
	if len(s.modules[id.Device]) == 0 {
		delete(s.modules, id.Device)
	}
	s.byName = nil
	s.revision++
}

// find returns the entry of id or the error that says what is missing. The
// caller holds the lock.
func (s *Store) find(id ID) (*entry, error) {
	if e, ok := s.entries[id]; ok {
		return e, nil
	}
	if _, ok := s.entries[id.device()]; id.Module != "" && ok {
		return nil, ErrModuleNotFound
	}
	return nil, ErrDeviceNotFound
}

// notify waits until the changes up to revision are kept, and hands them to the
// observer. If they cannot be kept, whoever made them hears of it from Keep; here
// they are in force either way.
func (s *Store) notify(revision int64) {
	_ = s.Keep(revision)
	s.mu.Lock()
	s.settled = max(s.settled, revision)
	s.mu.Unlock()
	for {
		change, ok := s.nextChange()
		if !ok {
			return
		}
		s.observe(change)
		s.mu.Lock()
		s.notifying = false
		s.mu.Unlock()
	}
}

// nextChange takes the oldest settled change off the queue and makes the caller
// the notifier. ok is false if there is nothing to do, or another goroutine is
// at it and will find the rest.
func (s *Store) nextChange() (change DesiredPatch, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notifying || len(s.changes) == 0 || s.changes[0].revision > s.settled {
		return DesiredPatch{}, false
	}
	change = s.changes[0]
	s.changes = s.changes[1:]
	s.notifying = true
	return change, true
}

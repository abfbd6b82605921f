// Package store holds the state of a hub: the identities of devices and modules with
// their keys, their twins and subscriptions, and the configurations of services. It does
// not interpret configurations.
//
// The store is in memory, has one lock and does no I/O; it reads only the clock. All
// returned values are copies. Store.OnDesired registers an observer of desired
// properties, Store.OnDevice an observer of the values that target conditions read. To
// make the store persistent, register with Store.KeepWith, write the document of
// Snapshot, and start with the store that Load returns.
package store

import (
	"sync"
)

// Store is the registry of one hub. The zero value is not usable; see New. All methods
// are safe for concurrent use.
type Store struct {
	mu             sync.Mutex
	entries        map[ID]*entry
	modules        map[string]map[string]*entry // the modules in entries, by device and by module
	configurations map[string]Configuration
	// writes counts the changes of settings; etags derive from it.
	writes int64
	// revision counts all persistent changes.
	revision int64
	keep     func(revision int64) error
	// byName holds the entries in the order of Snapshot; nil after one was added or
	// removed.
	byName []*entry

	// changes are not yet passed to observe, oldest first. Changes up to revision settled
	// are ready: Keep has returned for them. notifying is true while one goroutine passes
	// them on. The others leave their changes to it, which keeps the order without
	// holding the lock during the call.
	observe   func(DesiredPatch)
	onDevice  func(device string) // nil if not set
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
	// configurations are the statuses of configurations that target the entry, by id.
	configurations map[string]string
	// updates counts the changes by services; the twin's etag derives from it.
	updates int64
	// version counts all changes of the twin.
	version int64

	// subscriptions are the topic filters of the identity's MQTT session; nil if it has
	// no persistent session.
	subscriptions map[string]bool

	// encoded is the entry as Snapshot writes it; nil after a change.
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

// OnDesired sets the function that gets every change of desired properties, in version
// order for each identity, after the change is kept (see Keep). It is called without the
// lock held, so it may use the store. It must return soon: it runs on the goroutine of a
// caller, which is not always the caller that made this change. Call OnDesired before
// the first change.
func (s *Store) OnDesired(observe func(DesiredPatch)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe = observe
}

// OnDevice sets the function that gets every change of values that target conditions
// read: tags and reported properties of IoT Edge devices, and new devices. It is called
// without the lock held, on the goroutine that made the change, before its call returns.
// Call OnDevice before the first change.
func (s *Store) OnDevice(observe func(device string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onDevice = observe
}

// notifyDevice calls the function of OnDevice, if i is an IoT Edge device.
func (s *Store) notifyDevice(i Identity) {
	s.mu.Lock()
	notify := s.onDevice
	s.mu.Unlock()
	if notify != nil && i.IoTEdge {
		notify(i.ID.Device)
	}
}

// changed records a persistent change of e. The caller holds the lock.
func (s *Store) changed(e *entry) {
	s.revision++
	e.identity.Revision = s.revision
	e.encoded = nil
}

// add adds an entry. The caller holds the lock.
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

// remove deletes an entry. The caller holds the lock.
func (s *Store) remove(id ID) {
	delete(s.entries, id)
	delete(s.modules[id.Device], id.Module)
	if len(s.modules[id.Device]) == 0 {
		delete(s.modules, id.Device)
	}
	s.byName = nil
	s.revision++
}

// find returns the entry of id, or ErrDeviceNotFound or ErrModuleNotFound. The caller
// holds the lock.
func (s *Store) find(id ID) (*entry, error) {
	if e, ok := s.entries[id]; ok {
		return e, nil
	}
	if _, ok := s.entries[id.device()]; id.Module != "" && ok {
		return nil, ErrModuleNotFound
	}
	return nil, ErrDeviceNotFound
}

// notify waits until the changes up to revision are kept, and passes them to the
// observer. It ignores the error of Keep: the changes are in force anyway, and the caller
// that made them gets the error from its own call of Keep.
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

// nextChange removes the oldest settled change from the queue and makes the caller the
// notifier. ok is false if there is no such change, or if another goroutine is the
// notifier, which then also passes on the rest.
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

package store

import (
	"encoding/base64"
	"slices"
	"strconv"
	"time"
)

// maxModules is the maximum number of modules of a device (Microsoft, "IoT Hub quotas and
// throttling", section "Other limits").
const maxModules = 50

// firstETag gives the etags of identities the form of IoT Hub's: base64 of nine decimal
// digits.
const firstETag = 100_000_000

// Create creates the identity id. Errors, wrapped: ErrInvalidID for a name that IoT Hub
// does not allow, ErrSettings, ErrDeviceExists or ErrModuleExists, and for a module
// ErrDeviceNotFound and ErrTooManyModules.
func (s *Store) Create(id ID, settings Settings) (Identity, error) {
	identity, err := s.createNew(id, settings)
	if err == nil {
		s.notifyDevice(identity)
	}
	return identity, err
}

func (s *Store) createNew(id ID, settings Settings) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.entries[id]; exists {
		return Identity{}, errExists(id)
	}
	if id.Module != "" {
		if _, err := s.find(id.device()); err != nil {
			return Identity{}, err
		}
		if s.countModules(id.Device) >= maxModules {
			return Identity{}, ErrTooManyModules
		}
	}
	return s.create(id, settings)
}

// countModules counts the modules of a device without the ones that IoT Hub creates with
// it. The caller holds the lock.
func (s *Store) countModules(device string) int {
	n := 0
	for module := range s.modules[device] {
		if module != EdgeAgent && module != EdgeHub {
			n++
		}
	}
	return n
}

func errExists(id ID) error {
	if id.Module == "" {
		return ErrDeviceExists
	}
	return ErrModuleExists
}

// create creates an identity that does not exist yet, and the system modules of an IoT
// Edge device. The caller holds the lock.
func (s *Store) create(id ID, settings Settings) (Identity, error) {
	if err := id.validate(); err != nil {
		return Identity{}, err
	}
	generation := newGenerationID()
	settings, err := settings.withDefaults(id, generation)
	if err != nil {
		return Identity{}, err
	}
	e := &entry{
		identity: Identity{ID: id, Settings: settings, GenerationID: generation, ETag: s.nextETag()},
		tags:     make(map[string]any),
		desired:  newSection(true),
		reported: newSection(false),
		updates:  1,
		version:  1,
	}
	s.add(e)
	s.changed(e)
	return e.identity, s.ensureSystemModules(e)
}

// ensureSystemModules creates $edgeAgent and $edgeHub, as IoT Hub does, if e is an IoT
// Edge device without them.
func (s *Store) ensureSystemModules(e *entry) error {
	if !e.identity.IoTEdge {
		return nil
	}
	for _, module := range []string{EdgeAgent, EdgeHub} {
		id := ID{Device: e.identity.ID.Device, Module: module}
		if s.entries[id] != nil {
			continue
		}
		if _, err := s.create(id, Settings{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) nextETag() string {
	s.writes++
	return base64.StdEncoding.EncodeToString(strconv.AppendInt(nil, firstETag+s.writes, 10))
}

// Ensure returns the identity id. It creates the identity, and the device of a module, if
// they are missing. New identities get new keys. It returns ErrInvalidID, wrapped, for a
// name that IoT Hub does not allow.
func (s *Store) Ensure(id ID) (Identity, error) {
	if err := id.validate(); err != nil {
		return Identity{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[id.device()]; !ok {
		if _, err := s.create(id.device(), Settings{}); err != nil {
			return Identity{}, err
		}
	}
	if e, ok := s.entries[id]; ok {
		return e.identity, nil
	}
	return s.create(id, Settings{})
}

// Update replaces the settings of id. As in Create, empty keys are generated. ifMatch is
// the etag that the identity must have, without quotes; empty or "*" matches any.
// Errors, wrapped: ErrDeviceNotFound, ErrModuleNotFound, ErrETag, ErrSettings.
func (s *Store) Update(id ID, settings Settings, ifMatch string) (Identity, error) {
	identity, err := s.update(id, settings, ifMatch)
	if err == nil {
		s.notifyDevice(identity)
	}
	return identity, err
}

func (s *Store) update(id ID, settings Settings, ifMatch string) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Identity{}, err
	}
	if !matches(ifMatch, e.identity.ETag) {
		return Identity{}, ErrETag
	}
	if settings, err = settings.withDefaults(id, e.identity.GenerationID); err != nil {
		return Identity{}, err
	}
	if settings.Disabled != e.identity.Disabled {
		e.identity.StatusUpdated = now()
	}
	e.identity.Settings = settings
	e.identity.ETag = s.nextETag()
	if err := s.ensureSystemModules(e); err != nil {
		return Identity{}, err // cannot happen: the names are valid
	}
	s.changed(e)
	return e.identity, nil
}

// Delete deletes id, and all modules of a device, and returns the deleted identities. The
// caller must cut their connections. For ifMatch, see Update. Errors: ErrDeviceNotFound,
// ErrModuleNotFound, ErrETag.
func (s *Store) Delete(id ID, ifMatch string) (gone []ID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if !matches(ifMatch, e.identity.ETag) {
		return nil, ErrETag
	}
	for other := range s.entries {
		if other == id || id.Module == "" && other.Device == id.Device {
			s.remove(other)
			gone = append(gone, other)
		}
	}
	return gone, nil
}

func matches(ifMatch, etag string) bool {
	return ifMatch == "" || ifMatch == "*" || ifMatch == etag
}

// Identity returns the identity id, or ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) Identity(id ID) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Identity{}, err
	}
	return e.identity, nil
}

// Enabled is Identity, but returns ErrDisabled if the device, or the device of the
// module, is disabled.
func (s *Store) Enabled(id ID) (Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Identity{}, err
	}
	// The device exists: deleting a device deletes its modules.
	if s.entries[id.device()].identity.Disabled {
		return Identity{}, ErrDisabled
	}
	return e.identity, nil
}

// Devices returns all devices, sorted by name.
func (s *Store) Devices() []Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Identity{}
	for id, e := range s.entries {
		if id.Module == "" {
			list = append(list, e.identity)
		}
	}
	return byName(list)
}

// Modules returns the modules of a device, sorted by name, or ErrDeviceNotFound.
func (s *Store) Modules(device string) ([]Identity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(ID{Device: device}); err != nil {
		return nil, err
	}
	list := []Identity{}
	for _, e := range s.modules[device] {
		list = append(list, e.identity)
	}
	return byName(list), nil
}

func byName(list []Identity) []Identity {
	slices.SortFunc(list, func(a, b Identity) int { return compareIDs(a.ID, b.ID) })
	return list
}

// SetModelID stores the model that an identity announced at login; empty deletes it. It
// returns ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) SetModelID(id ID, model string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return err
	}
	if e.identity.ModelID != model {
		e.identity.ModelID = model
		s.changed(e)
	}
	return nil
}

// SetConnected stores that id has connected or disconnected. It does nothing if id does
// not exist any more.
func (s *Store) SetConnected(id ID, connected bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok {
		return
	}
	t := now()
	e.encoded = nil
	e.identity.LastActivity = t
	if e.identity.Connected != connected {
		e.identity.Connected, e.identity.ConnectionUpdated = connected, t
	}
}

// SetActive sets the time of the latest activity of id to now. It does nothing if id does
// not exist any more.
func (s *Store) SetActive(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[id]; ok {
		e.encoded = nil
		e.identity.LastActivity = now()
	}
}

// now returns the time in IoT Hub's resolution of 100 ns.
func now() time.Time {
	return time.Now().UTC().Truncate(100 * time.Nanosecond)
}

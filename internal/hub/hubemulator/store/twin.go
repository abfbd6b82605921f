package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"

	"rtsptunnel/internal/base/jsonvalue"
)

// ErrETag says that a change was asked for on condition of an etag that is no
// longer the twin's.
var ErrETag = errors.New("etag does not match")

// Twin is the state of a twin at one moment.
type Twin struct {
	// Identity is that of the device or module, but for its keys. Its ETag is
	// not the twin's.
	Identity Identity
	// ETag changes with everything the service may change; it stands without
	// quotes.
	ETag string
	// Version counts all changes, those of reported properties too.
	Version int64
	// Tags are the service's own; devices do not see them.
	Tags     map[string]any
	Desired  Section
	Reported Section
	// Configurations are the statuses of configurations that target it, by id;
	// nil if there are none.
	Configurations map[string]string
}

// DesiredPatch is one change of the desired properties of one identity.
type DesiredPatch struct {
	ID      ID
	Version int64
	// Patch is the change as it was sent, nulls kept; after a replacement, the
	// whole new section.
	Patch Patch

	revision int64
}

// MarshalJSON writes the patch with $version, as it is delivered to devices.
func (p DesiredPatch) MarshalJSON() ([]byte, error) {
	return json.Marshal(withVersion(p.Patch, p.Version))
}

// Twin returns the twin of id, or ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) Twin(id ID) (Twin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Twin{}, err
	}
	return e.twin(), nil
}

// TwinUpdate is a change of what the service owns of a twin. A section that is
// nil stays as it is, with its version; all others count as changed.
type TwinUpdate struct {
	Tags    Patch
	Desired Patch
	// Replace makes the sections given all there is, instead of merging them.
	Replace bool
}

// UpdateTwin changes the twin of id, waits until the change is kept (see Keep),
// tells the observer of desired properties, and returns the whole twin after
// the change, also if it could not be kept. ifMatch is the etag the twin
// must have, without quotes; empty or "*" is any, and it is looked at also if
// there is nothing to change. Errors: ErrETag, ErrLimit (wrapped),
// ErrDeviceNotFound, ErrModuleNotFound; after them nothing has changed.
func (s *Store) UpdateTwin(id ID, u TwinUpdate, ifMatch string) (Twin, error) {
	twin, err := s.updateTwin(id, u, ifMatch)
	if err != nil {
		return Twin{}, err
	}
	s.notify(twin.Identity.Revision)
	if u.Tags != nil {
		s.tellDevice(twin.Identity)
	}
	return twin, nil
}

func (s *Store) updateTwin(id ID, u TwinUpdate, ifMatch string) (Twin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Twin{}, err
	}
	if !matches(ifMatch, e.etag()) {
		return Twin{}, ErrETag
	}
	if u.Tags == nil && u.Desired == nil {
		return e.twin(), nil
	}
	if err := s.change(e, u); err != nil {
		return Twin{}, err
	}
	return e.twin(), nil
}

// change makes a change of the twin of e, and queues it for the observer. The caller
// holds the lock. The error is ErrLimit, wrapped; after it nothing has changed.
func (s *Store) change(e *entry, u TwinUpdate) error {
	tags, err := e.changedTags(u)
	if err != nil {
		return err
	}
	if u.Desired != nil {
		change, err := e.changeDesired(u)
		if err != nil {
			return err
		}
		if s.observe != nil {
			change.revision = s.revision + 1 // the one that this change makes
			s.changes = append(s.changes, change)
		}
	}
	e.tags = tags
	e.updates++
	e.version++
	s.changed(e)
	return nil
}

// changedTags returns the tags after u, or ErrLimit.
func (e *entry) changedTags(u TwinUpdate) (map[string]any, error) {
	if u.Tags == nil {
		return e.tags, nil
	}
	next := make(map[string]any)
	if !u.Replace {
		next = jsonvalue.CloneObject(e.tags)
	}
	return next, mergeWithin(next, u.Tags, maxTags)
}

// changeDesired applies u to the desired properties and returns what the
// device is told: a patch as it was sent, or all of a new section.
func (e *entry) changeDesired(u TwinUpdate) (DesiredPatch, error) {
	change := DesiredPatch{ID: e.identity.ID}
	if u.Replace {
		if err := e.desired.replace(u.Desired); err != nil {
			return DesiredPatch{}, err
		}
		change.Patch = jsonvalue.CloneObject(e.desired.properties)
	} else {
		if err := e.desired.merge(u.Desired); err != nil {
			return DesiredPatch{}, err
		}
		change.Patch = jsonvalue.CloneObject(u.Desired)
	}
	change.Version = e.desired.version
	return change, nil
}

// PatchReported merges patch into the reported properties of id and returns
// their new version, and the change's revision, for Keep. Errors: ErrLimit
// (wrapped), ErrDeviceNotFound, ErrModuleNotFound; after them nothing has changed.
func (s *Store) PatchReported(id ID, patch Patch) (version, revision int64, err error) {
	version, identity, err := s.patchReported(id, patch)
	if err != nil {
		return 0, 0, err
	}
	s.tellDevice(identity)
	return version, identity.Revision, nil
}

func (s *Store) patchReported(id ID, patch Patch) (version int64, identity Identity, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return 0, Identity{}, err
	}
	if err := e.reported.merge(patch); err != nil {
		return 0, Identity{}, err
	}
	e.version++
	s.changed(e)
	return e.reported.version, e.identity, nil
}

func (e *entry) twin() Twin {
	identity := e.identity
	identity.PrimaryKey, identity.SecondaryKey = "", ""
	return Twin{
		Identity: identity,
		ETag:     e.etag(),
		Version:  e.version,
		Tags:     jsonvalue.CloneObject(e.tags),
		Desired:  e.desired.copy(),
		Reported: e.reported.copy(),

		Configurations: maps.Clone(e.configurations),
	}
}

func (e *entry) etag() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(e.updates))) //nolint:gosec // a counter that begins at 1
}

package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"

	"rtsptunnel/internal/base/jsonvalue"
)

// ErrETag reports a conditional change whose etag does not match the current one.
var ErrETag = errors.New("etag does not match")

// Twin is a snapshot of a twin.
type Twin struct {
	// Identity is the device or module, without its keys. Its ETag is not the twin's
	// etag.
	Identity Identity
	// ETag changes with every change by a service. It has no quotes.
	ETag string
	// Version counts all changes, including those of reported properties.
	Version int64
	// Tags belong to the service; devices do not get them.
	Tags     map[string]any
	Desired  Section
	Reported Section
	// Configurations are the statuses of configurations that target the identity, by id;
	// nil if there are none.
	Configurations map[string]string
}

// DesiredPatch is one change of the desired properties of one identity.
type DesiredPatch struct {
	ID      ID
	Version int64
	// Patch is the change as the service sent it, with nulls. After a replacement it is
	// the complete new section.
	Patch Patch

	revision int64
}

// MarshalJSON writes the patch with $version, in the form that devices get.
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

// TwinUpdate is a change of a twin by a service. A nil section keeps its content and its
// version. Any other section counts as changed.
type TwinUpdate struct {
	Tags    Patch
	Desired Patch
	// Replace replaces the given sections instead of merging into them.
	Replace bool
}

// UpdateTwin changes the twin of id, waits until the change is kept (see Keep), and calls
// the observer of desired properties. It returns the complete twin after the change, also
// if Keep fails. ifMatch is the etag that the twin must have, without quotes; empty or
// "*" matches any. It is checked even if there is nothing to change. Errors: ErrETag,
// ErrLimit (wrapped), ErrDeviceNotFound, ErrModuleNotFound; after them nothing has
// changed.
func (s *Store) UpdateTwin(id ID, u TwinUpdate, ifMatch string) (Twin, error) {
	twin, err := s.updateTwin(id, u, ifMatch)
	if err != nil {
		return Twin{}, err
	}
	s.notify(twin.Identity.Revision)
	if u.Tags != nil {
		s.notifyDevice(twin.Identity)
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

// change changes the twin of e, and queues the change for the observer. The caller holds
// the lock. The error is ErrLimit, wrapped; after it nothing has changed.
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
			change.revision = s.revision + 1 // the revision of this change
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

// changeDesired applies u to the desired properties. It returns the message for the
// device: the patch as the service sent it, or the complete new section.
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

// PatchReported merges patch into the reported properties of id. It returns their new
// version, and the revision of the change for Keep. Errors: ErrLimit (wrapped),
// ErrDeviceNotFound, ErrModuleNotFound; after them nothing has changed.
func (s *Store) PatchReported(id ID, patch Patch) (version, revision int64, err error) {
	version, identity, err := s.patchReported(id, patch)
	if err != nil {
		return 0, 0, err
	}
	s.notifyDevice(identity)
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
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(e.updates))) //nolint:gosec // a counter that starts at 1
}

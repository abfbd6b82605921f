package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
)

// versionKey is the member every twin section carries its version in.
const versionKey = "$version"

// ErrETag says that a change was asked for on condition of an etag that is no
// longer the twin's.
var ErrETag = errors.New("etag does not match")

// Twin is the state of a twin at one moment.
type Twin struct {
	ID      ID
	ModelID string
	// ETag changes with everything the service may change; it stands without
	// quotes.
	ETag string
	// Version counts all changes, those of reported properties too.
	Version  int64
	Desired  Section
	Reported Section
}

// Section is one half of a twin.
type Section struct {
	// Properties are JSON values as encoding/json decodes them, numbers as
	// json.Number.
	Properties map[string]any
	// Version begins at 1 and grows by one with each change.
	Version int64
}

// MarshalJSON writes the properties with $version among them, as twins appear
// on the wire.
func (s Section) MarshalJSON() ([]byte, error) {
	return json.Marshal(withVersion(s.Properties, s.Version))
}

func withVersion(properties map[string]any, version int64) map[string]any {
	document := make(map[string]any, len(properties)+1)
	maps.Copy(document, properties)
	document[versionKey] = version
	return document
}

// section is Section as the store keeps it.
type section struct {
	properties map[string]any
	version    int64
}

func newSection() section {
	return section{properties: make(map[string]any), version: 1}
}

func (s *section) apply(p Patch) int64 {
	mergeInto(s.properties, p)
	s.version++
	return s.version
}

func (s *section) copy() Section {
	return Section{Properties: cloneObject(s.properties), Version: s.version}
}

// DesiredPatch is one change of the desired properties of one identity.
type DesiredPatch struct {
	ID      ID
	Version int64
	// Patch is the change as it was sent, nulls kept.
	Patch Patch
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

// PatchDesired merges patch into the desired properties of id, tells the
// observer, and returns the whole twin after the change. ifMatch is the etag
// the twin must have, without quotes; empty or "*" is any. A nil patch changes
// nothing, not even the version, and the etag is still looked at. It returns
// ErrETag, ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) PatchDesired(id ID, patch Patch, ifMatch string) (Twin, error) {
	twin, err := s.patchDesired(id, patch, ifMatch)
	if err != nil {
		return Twin{}, err
	}
	s.notify()
	return twin, nil
}

func (s *Store) patchDesired(id ID, patch Patch, ifMatch string) (Twin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return Twin{}, err
	}
	if !matches(ifMatch, e.etag()) {
		return Twin{}, ErrETag
	}
	if patch == nil {
		return e.twin(), nil
	}
	e.updates++
	e.version++
	version := e.desired.apply(patch)
	if s.observe != nil {
		s.changes = append(s.changes, DesiredPatch{ID: id, Version: version, Patch: cloneObject(patch)})
	}
	return e.twin(), nil
}

// PatchReported merges patch into the reported properties of id and returns
// their new version, or ErrDeviceNotFound or ErrModuleNotFound.
func (s *Store) PatchReported(id ID, patch Patch) (version int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(id)
	if err != nil {
		return 0, err
	}
	e.version++
	return e.reported.apply(patch), nil
}

func (e *entry) twin() Twin {
	return Twin{
		ID:       e.identity.ID,
		ModelID:  e.identity.ModelID,
		ETag:     e.etag(),
		Version:  e.version,
		Desired:  e.desired.copy(),
		Reported: e.reported.copy(),
	}
}

func (e *entry) etag() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(e.updates))) //nolint:gosec // a counter that begins at 1
}

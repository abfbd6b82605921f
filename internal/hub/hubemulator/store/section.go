package store

import (
	"encoding/json"
	"maps"
	"time"

	"rtsptunnel/internal/base/jsonvalue"
)

// Members of a section that only the hub writes.
const (
	versionKey  = "$version"
	metadataKey = "$metadata"
)

// Section holds the desired or the reported properties of a twin.
type Section struct {
	// Properties are JSON values as encoding/json decodes them, with numbers as
	// json.Number.
	Properties map[string]any
	// Metadata is IoT Hub's $metadata: $lastUpdated for the section and for each
	// property. Desired properties have $lastUpdatedVersion too, once they were written.
	Metadata map[string]any
	// Version starts at 1 and grows by 1 with each change.
	Version int64
}

// MarshalJSON writes the properties with $version, in the form that devices get.
func (s Section) MarshalJSON() ([]byte, error) {
	return json.Marshal(withVersion(s.Properties, s.Version))
}

// WithMetadata returns the properties with $version and $metadata, in the form that
// services get.
func (s Section) WithMetadata() map[string]any {
	document := withVersion(s.Properties, s.Version)
	document[metadataKey] = s.Metadata
	return document
}

func withVersion(properties map[string]any, version int64) map[string]any {
	document := make(map[string]any, len(properties)+2)
	maps.Copy(document, properties)
	document[versionKey] = version
	return document
}

// section is the internal form of Section.
type section struct {
	properties map[string]any
	metadata   *metadata
	version    int64
	// versioned reports whether metadata has the version of changes.
	versioned bool
}

func newSection(versioned bool) section {
	return section{
		properties: make(map[string]any),
		metadata:   &metadata{Updated: now()},
		version:    1,
		versioned:  versioned,
	}
}

// merge applies p. After ErrLimit nothing has changed.
func (s *section) merge(p Patch) error {
	next := jsonvalue.CloneObject(s.properties)
	if err := mergeWithin(next, p, maxProperties); err != nil {
		return err
	}
	s.properties = next
	s.touch(p)
	return nil
}

// replace replaces all properties by p. After ErrLimit nothing has changed.
func (s *section) replace(p Patch) error {
	next := make(map[string]any)
	if err := mergeWithin(next, p, maxProperties); err != nil {
		return err
	}
	s.properties = next
	s.metadata = &metadata{}
	s.touch(p)
	return nil
}

func (s *section) touch(p Patch) {
	s.version++
	version := s.version
	if !s.versioned {
		version = 0
	}
	s.metadata.touch(p, now(), version)
}

func (s *section) copy() Section {
	return Section{Properties: jsonvalue.CloneObject(s.properties), Metadata: s.metadata.document(), Version: s.version}
}

// metadata holds the latest change of a property or a section. Members is the metadata
// of the members of an object.
type metadata struct {
	Updated time.Time            `json:"updated"`
	Version int64                `json:"version,omitempty"` // 0 in a section without versions
	Members map[string]*metadata `json:"members,omitempty"`
}

// touch updates the metadata after a merge of patch.
func (m *metadata) touch(patch map[string]any, at time.Time, version int64) {
	m.Updated, m.Version = at, version
	for name, value := range patch {
		if value == nil {
			delete(m.Members, name)
			continue
		}
		if m.Members == nil {
			m.Members = make(map[string]*metadata)
		}
		object, isObject := value.(map[string]any)
		if m.Members[name] == nil || !isObject {
			m.Members[name] = &metadata{}
		}
		m.Members[name].touch(object, at, version)
	}
}

func (m *metadata) document() map[string]any {
	document := make(map[string]any, len(m.Members)+2)
	document["$lastUpdated"] = m.Updated
	if m.Version > 0 {
		document["$lastUpdatedVersion"] = m.Version
	}
	for name, member := range m.Members {
		document[name] = member.document()
	}
	return document
}

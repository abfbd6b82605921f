package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// This file reads the documents of Snapshot. The rules are:
//   - formats of older programs are accepted, formats of newer ones are not;
//   - an unknown member is an error, because the next snapshot would lose it;
//   - a violated invariant of the package is an error. Limits of twins are not checked:
//     they apply to changes.

// maxCount limits counters. It is far above real values, and far below an overflow.
const maxCount = 1 << 53

// ErrDocument reports a document that Snapshot did not write. It is wrapped with the
// reason; its text contains no keys.
var ErrDocument = errors.New("broken document")

// Load returns the store that a document of Snapshot describes. No identity is connected.
// The error is ErrDocument, wrapped.
func Load(text []byte) (*Store, error) {
	// The format comes first, because other formats may have members of other types.
	var d struct{ Format int }
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if d.Format < 1 || d.Format > format {
		return nil, fmt.Errorf("%w: it has format %d, this program knows those from 1 to %d", ErrDocument, d.Format, format)
	}
	var all document
	if err := decode(text, &all); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	s, err := all.store()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return s, nil
}

// decode reads a JSON value strictly, and keeps numbers as they were written.
func decode(text []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	return decoder.Decode(target)
}

func (d document) store() (*Store, error) {
	if d.Revision < 0 || d.Revision > maxCount || d.Writes < 0 || d.Writes > maxCount || d.Identities == nil {
		return nil, errors.New("revision, writes or identities are missing, negative or too large")
	}
	s := New()
	s.revision, s.writes = d.Revision, d.Writes
	for i, text := range d.Identities {
		var document entryDocument
		if err := decode(text, &document); err != nil {
			return nil, fmt.Errorf("identity %d: %w", i+1, err)
		}
		id := document.Identity.ID
		if err := document.check(); err != nil {
			return nil, fmt.Errorf("identity %d, %q: %w", i+1, id, err)
		}
		if _, exists := s.entries[id]; exists {
			return nil, fmt.Errorf("identity %d, %q: duplicate", i+1, id)
		}
		s.add(document.entry())
	}
	for i, text := range d.Configurations {
		var c Configuration
		if err := decode(text, &c); err != nil {
			return nil, fmt.Errorf("configuration %d: %w", i+1, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("configuration %d, %.64q: %w", i+1, c.ID, err)
		}
		if _, exists := s.configurations[c.ID]; exists {
			return nil, fmt.Errorf("configuration %d, %q: duplicate", i+1, c.ID)
		}
		s.configurations[c.ID] = c
	}
	for id := range s.entries {
		if s.entries[id.device()] == nil {
			return nil, fmt.Errorf("identity %q: its device is missing", id)
		}
	}
	return s, nil
}

func (c Configuration) check() error {
	if !validConfigurationID(c.ID) || len(c.Content) == 0 || !isCount(c.Updates) {
		return errors.New("id, content or updates are missing or invalid")
	}
	return nil
}

func (d entryDocument) check() error {
	i := d.Identity
	if err := i.ID.validate(); err != nil {
		return err
	}
	complete, err := i.withDefaults(i.ID, i.GenerationID)
	if err != nil {
		return err
	}
	switch {
	case complete != i.Settings:
		return errors.New("settings are incomplete or do not match the authentication type")
	case i.GenerationID == "" || i.ETag == "":
		return errors.New("generationId or etag is missing")
	case d.Tags == nil || !isCount(d.Version) || !isCount(d.Updates):
		return errors.New("tags, version or updates of the twin are missing or out of range")
	}
	for name, section := range map[string]sectionDocument{"desired": d.Desired, "reported": d.Reported} {
		if section.Properties == nil || !isCount(section.Version) || !section.Metadata.complete() {
			return fmt.Errorf("properties, version or metadata of %s are missing or out of range", name)
		}
	}
	return nil
}

// isCount reports whether n is a valid counter that starts at 1.
func isCount(n int64) bool {
	return n >= 1 && n <= maxCount
}

// complete reports whether m and all metadata below it are present.
func (m *metadata) complete() bool {
	if m == nil {
		return false
	}
	for _, member := range m.Members {
		if !member.complete() {
			return false
		}
	}
	return true
}

func (d entryDocument) entry() *entry {
	e := &entry{
		identity: d.Identity,
		tags:     d.Tags,
		desired:  d.Desired.section(true),
		reported: d.Reported.section(false),
		updates:  d.Updates,
		version:  d.Version,

		configurations: d.Configurations,
	}
	if d.Subscriptions != nil {
		e.subscriptions = make(map[string]bool, len(d.Subscriptions))
		for _, filter := range d.Subscriptions {
			e.subscriptions[filter] = true
		}
	}
	return e
}

func (d sectionDocument) section(versioned bool) section {
	return section{properties: d.Properties, metadata: d.Metadata, version: d.Version, versioned: versioned}
}

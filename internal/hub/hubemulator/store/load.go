package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// This file reads what Snapshot wrote. The rules are:
//   - forms that an older program wrote are taken up, a newer one's are not;
//   - a member that is not known is an error: the next snapshot would lose it;
//   - so is whatever the rest of the package takes for granted and is not so.
//     Limits of twins are not checked: they hold for changes.

// maxCount is far beyond what a hub ever counts, and far from an overflow.
const maxCount = 1 << 53

// ErrDocument says that a document is not what Snapshot wrote, and what is wrong
// with it. Its text holds no keys.
var ErrDocument = errors.New("broken document")

// Load returns the store that a document of Snapshot tells of, with nobody
// connected. The error is ErrDocument, wrapped.
func Load(text []byte) (*Store, error) {
	// By itself first, as other forms may have members of other types.
	var d struct{ Format int }
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if d.Format < 1 || d.Format > format {
		return nil, fmt.Errorf("%w: it has format %d, this program knows those from 1 to %d", ErrDocument, d.Format, format)
	}
	var whole document
	if err := decode(text, &whole); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	s, err := whole.store()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	return s, nil
}

// decode reads a JSON value strictly, with numbers as they were written.
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
			return nil, fmt.Errorf("identity %d, %q: it is there twice", i+1, id)
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
			return nil, fmt.Errorf("configuration %d, %q: it is there twice", i+1, c.ID)
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
		return errors.New("its id, content or updates are missing or not good")
	}
	return nil
}

func (d entryDocument) check() error {
	i := d.Identity
	if err := i.ID.validate(); err != nil {
		return err
	}
	whole, err := i.withDefaults(i.ID, i.GenerationID)
	if err != nil {
		return err
	}
	switch {
	case whole != i.Settings:
		return errors.New("its settings lack something, or do not go with its authentication")
	case i.GenerationID == "" || i.ETag == "":
		return errors.New("generationId or etag is missing")
	case d.Tags == nil || !isCount(d.Version) || !isCount(d.Updates):
		return errors.New("tags, version or updates of the twin are missing or out of range")
	}
	for name, section := range map[string]sectionDocument{"desired": d.Desired, "reported": d.Reported} {
		if section.Properties == nil || !isCount(section.Version) || !section.Metadata.whole() {
			return fmt.Errorf("properties, version or metadata of %s are missing or out of range", name)
		}
	}
	return nil
}

// isCount says whether n is a number that begins at 1 and grows.
func isCount(n int64) bool {
	return n >= 1 && n <= maxCount
}

// whole says whether there is metadata, all the way down.
func (m *metadata) whole() bool {
	if m == nil {
		return false
	}
	for _, member := range m.Members {
		if !member.whole() {
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

package store

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// format is the version of the document's format. It grows with every change of the
// format, and Load reads all versions from 1.
const format = 2

// document is the persistent state of a store as JSON. Each entry has its own line; the
// entries are sorted by name. Format 1 had no configurations.
type document struct {
	Format     int               `json:"format"`
	Revision   int64             `json:"revision"`
	Writes     int64             `json:"writes"` // Store.writes
	Identities []json.RawMessage `json:"identities"`
	// Configurations have type Configuration; they are sorted by id.
	Configurations []json.RawMessage `json:"configurations"`
}

// entryDocument is one of document.Identities.
type entryDocument struct {
	Identity Identity        `json:"identity"`
	Tags     map[string]any  `json:"tags"`
	Desired  sectionDocument `json:"desired"`
	Reported sectionDocument `json:"reported"`
	Updates  int64           `json:"updates"` // entry.updates
	Version  int64           `json:"version"`
	// Subscriptions are sorted, and null if there is no session.
	Subscriptions []string `json:"subscriptions"`
	// Configurations are statuses, by id.
	Configurations map[string]string `json:"configurations,omitempty"`
}

type sectionDocument struct {
	Version    int64          `json:"version"`
	Properties map[string]any `json:"properties"`
	Metadata   *metadata      `json:"metadata"`
}

// Snapshot returns the persistent state of the store and its revision, as one JSON
// document that Load reads. The document contains keys, which are secrets. Only
// identities that changed since the last snapshot are encoded again. The only error is a
// value in a twin that JSON cannot represent.
func (s *Store) Snapshot() (revision int64, snapshot io.WriterTo, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := document{Format: format, Revision: s.revision, Writes: s.writes}
	for _, e := range s.sorted() {
		if e.encoded == nil {
			if e.encoded, err = json.Marshal(e.document()); err != nil {
				return 0, nil, fmt.Errorf("encode %s: %w", e.identity.ID, err)
			}
		}
		d.Identities = append(d.Identities, e.encoded)
	}
	for _, c := range s.allConfigurations() {
		encoded, err := json.Marshal(c)
		if err != nil {
			return 0, nil, fmt.Errorf("encode configuration %s: %w", c.ID, err)
		}
		d.Configurations = append(d.Configurations, encoded)
	}
	return d.Revision, d, nil
}

// sorted returns the entries sorted by name. The caller holds the lock.
func (s *Store) sorted() []*entry {
	if s.byName == nil {
		s.byName = slices.SortedFunc(maps.Values(s.entries), func(a, b *entry) int {
			return compareIDs(a.identity.ID, b.identity.ID)
		})
	}
	return s.byName
}

func (e *entry) document() entryDocument {
	d := entryDocument{
		Identity: e.identity,
		Tags:     e.tags,
		Desired:  e.desired.document(),
		Reported: e.reported.document(),
		Updates:  e.updates,
		Version:  e.version,

		Configurations: e.configurations,
	}
	if e.subscriptions != nil {
		d.Subscriptions = slices.AppendSeq(make([]string, 0, len(e.subscriptions)), maps.Keys(e.subscriptions))
		slices.Sort(d.Subscriptions)
	}
	return d
}

func (s *section) document() sectionDocument {
	return sectionDocument{Version: s.version, Properties: s.properties, Metadata: s.metadata}
}

// WriteTo writes the document entry by entry. Encoding it at once would cost another
// large allocation with each snapshot.
func (d document) WriteTo(w io.Writer) (n int64, err error) {
	write := func(text []byte) {
		if err == nil {
			var m int
			m, err = w.Write(text)
			n += int64(m)
		}
	}
	write(fmt.Appendf(nil, `{"format":%d,"revision":%d,"writes":%d,"identities":[`, d.Format, d.Revision, d.Writes))
	lines := func(list []json.RawMessage) {
		separator := []byte("\n")
		for _, line := range list {
			write(separator)
			write(line)
			separator = []byte(",\n")
		}
	}
	lines(d.Identities)
	write([]byte("\n],\"configurations\":["))
	lines(d.Configurations)
	write([]byte("\n]}\n"))
	return n, err
}

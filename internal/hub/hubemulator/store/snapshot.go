package store

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// format is the number of the document's form. It is raised with every change of
// the form, and Load takes up all forms from 1 on.
const format = 2

// document is all that must outlive the process, as JSON. The entries have a
// line each, by name. Form 1 had no configurations.
type document struct {
	Format     int               `json:"format"`
	Revision   int64             `json:"revision"`
	Writes     int64             `json:"writes"` // Store.writes
	Identities []json.RawMessage `json:"identities"`
	// Configurations are of type Configuration, by id.
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
	// Subscriptions are null if there is no session, and sorted.
	Subscriptions []string `json:"subscriptions"`
	// Configurations are statuses; left out if there are none.
	Configurations map[string]string `json:"configurations,omitempty"`
}

type sectionDocument struct {
	Version    int64          `json:"version"`
	Properties map[string]any `json:"properties"`
	Metadata   *metadata      `json:"metadata"`
}

// Snapshot returns everything that must outlive the process, as it is now, with
// the revision it has: one JSON document, which Load reads. It holds keys, which
// are secrets. Only identities that have changed since the last snapshot are
// encoded anew. The only error is a value in a twin that JSON does not have.
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

// sorted returns the entries by name. The caller holds the lock.
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

// WriteTo writes the document, entry by entry: the whole would be one more large
// allocation with each snapshot.
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

package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// belief decides which twin documents are believed. An edge hub that has lost the
// cloud, or has just been started, gives out empty and older desired properties
// (Azure/iotedge, issue 1654): believed, they would remove every camera of a site.
// Its zero value believes anything.
type belief struct {
	seen    bool
	version int64 // desired.$version of the last document that was believed
	empty   bool  // that one's desired properties
	doubted time.Time
}

var (
	errEmptyTwin = errors.New("desired properties that were there are gone without a higher $version")
	errOlderTwin = errors.New("desired properties have a lower $version than before")
)

// take believes doc, or says why not. A lower version than before is also that of an
// identity that was deleted and made anew: it is believed if it is still there after
// confirm, unless it is empty. Empty, it stays in doubt until somebody desires
// something. What is no twin at all is for the handler to refuse.
func (b *belief) take(doc []byte, now time.Time, confirm time.Duration) error {
	version, empty, ok := desired(doc)
	if !ok {
		return nil
	}
	higher := !b.seen || version > b.version
	switch {
	case higher, version == b.version && (!empty || b.empty):
	case empty:
		return reason.New(reason.HubTwinOld, fmt.Errorf("%w: %d before, %d now", errEmptyTwin, b.version, version))
	case b.doubted.IsZero():
		b.doubted = now
		fallthrough
	case now.Sub(b.doubted) < confirm:
		return reason.New(reason.HubTwinOld, fmt.Errorf("%w: %d before, %d now", errOlderTwin, b.version, version))
	}
	*b = belief{seen: true, version: version, empty: empty}
	return nil
}

// isNew tells whether b is of a version of which before was not.
func (b *belief) isNew(before belief) bool {
	return b.seen && (!before.seen || b.version != before.version)
}

// desired is the version of a twin's desired properties, and whether there are none
// but the hub's own.
func desired(doc []byte) (version int64, empty, ok bool) {
	var twin struct {
		Desired map[string]json.RawMessage `json:"desired"`
	}
	if json.Unmarshal(doc, &twin) != nil || json.Unmarshal(twin.Desired["$version"], &version) != nil {
		return 0, false, false
	}
	for name := range twin.Desired {
		if !strings.HasPrefix(name, "$") {
			return version, false, true
		}
	}
	return version, true, true
}

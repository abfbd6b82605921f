package hublink

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// staleTwinGuard rejects stale twin documents. An edge hub that has lost the cloud, or has
// just started, returns empty and older desired properties (Azure/iotedge, issue 1654).
// Applied, they would remove every camera of a site. The zero value accepts any document.
type staleTwinGuard struct {
	seen    bool
	version int64     // desired.$version of the last document that was accepted
	empty   bool      // its desired properties were empty
	olderAt time.Time // since when an older version has been returned
}

var (
	errEmptyTwin = errors.New("desired properties that were there are gone without a higher $version")
	errOlderTwin = errors.New("desired properties have a lower $version than before")
)

// check accepts doc, or returns why it is stale.
//
// An identity that was deleted and created again also has a lower version. So a lower
// version is accepted if it is still returned after confirm, unless it is empty. An empty
// one stays rejected until properties are desired. A document that is not a twin is
// accepted: the handler refuses it.
func (g *staleTwinGuard) check(doc []byte, now time.Time, confirm time.Duration) error {
	version, empty, ok := desired(doc)
	if !ok {
		return nil
	}
	higher := !g.seen || version > g.version
	switch {
	case higher, version == g.version && (!empty || g.empty):
	case empty:
		return reason.New(reason.HubTwinOld, fmt.Errorf("%w: %d before, %d now", errEmptyTwin, g.version, version))
	case g.olderAt.IsZero():
		g.olderAt = now
		fallthrough
	case now.Sub(g.olderAt) < confirm:
		return reason.New(reason.HubTwinOld, fmt.Errorf("%w: %d before, %d now", errOlderTwin, g.version, version))
	}
	*g = staleTwinGuard{seen: true, version: version, empty: empty}
	return nil
}

// isNew tells whether the accepted version differs from the one in before.
func (g *staleTwinGuard) isNew(before staleTwinGuard) bool {
	return g.seen && (!before.seen || g.version != before.version)
}

// desired returns the version of a twin's desired properties, and whether they are empty
// apart from the hub's own $-keys.
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

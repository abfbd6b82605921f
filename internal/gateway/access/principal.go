package access

import (
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
)

// Role says which actions a principal may do at all.
type Role string

// The roles.
const (
	Admin  Role = "admin"  // all actions
	Viewer Role = "viewer" // watch, listen, archive, export: what changes nothing
)

// Action is what a principal does with a camera.
type Action string

// The actions.
const (
	Watch   Action = "watch"   // see live pictures, and the camera's state
	Listen  Action = "listen"  // hear live sound
	Talk    Action = "talk"    // send sound to the camera
	Archive Action = "archive" // play recordings
	Export  Action = "export"  // save recordings as files
	Operate Action = "operate" // diagnose and close streams, disconnect viewers
	Manage  Action = "manage"  // change the gateway's configuration
)

// viewerMay are the actions of the role viewer.
var viewerMay = []Action{Watch, Listen, Archive, Export}

// Principal is who acts: the holder of a token. The zero Principal may do nothing.
type Principal struct {
	Name    string
	Role    Role
	Cameras []string  // globs; see Token. The caller must not change them
	Expires time.Time // zero: never
	ID      string    // names the token without a secret; changes when the token is replaced
}

// all is the glob of all cameras.
const all = "*"

// May returns nil if the principal's role has the action for any camera. The errors are those
// of Grant.
func (p Principal) May(action Action) error {
	switch {
	case !p.Expires.IsZero() && !time.Now().Before(p.Expires):
		return failure.New(failure.Viewer, reason.AccessExpired, nil)
	case p.Role == Admin, p.Role == Viewer && slices.Contains(viewerMay, action):
		return nil
	default:
		return failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
}

// Grant returns nil if the principal may do the action with the camera now. camera is a name
// of two segments, or of three for one stream; compared are decoded names, not aliases. An
// empty camera stands for the gateway as a whole, which needs the right to all cameras. The
// error is a *failure.Failure at hop viewer: ACCESS_DENIED or ACCESS_EXPIRED.
func (p Principal) Grant(action Action, camera string) error {
	if err := p.May(action); err != nil {
		return err
	}
	camera = withoutStream(camera)
	covers := func(glob string) bool { return name.Match(glob, camera) }
	if !slices.ContainsFunc(p.Cameras, covers) {
		return failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return nil
}

// withoutStream returns the first two segments of a name.
func withoutStream(camera string) string {
	if i := strings.LastIndexByte(camera, '/'); strings.Count(camera, "/") == 2 {
		return camera[:i]
	}
	return camera
}

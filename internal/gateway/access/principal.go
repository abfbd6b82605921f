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

// Kind says what a principal has shown. All kinds come from a static token, and end with it.
type Kind string

// The kinds.
const (
	Static   Kind = ""         // a static token
	Login    Kind = "login"    // the cookie of a browser
	Content  Kind = "content"  // a content token: live video and sound of one camera
	Playback Kind = "playback" // the mark of a playlist: as a content token
)

// Principal is who acts: the holder of a token. The zero Principal may do nothing.
type Principal struct {
	Name    string // of the static token
	Role    Role
	Cameras []string // globs; see Token. The caller must not change them
	// Expires is when it ends; zero: never. A playback that a content token has started may
	// go on for longer than the token can start others, so this is the end of the playback.
	Expires time.Time
	ID      string // names the static token without a secret; changes when the token is replaced

	Kind     Kind
	Camera   string // if it is set, this is all that the principal may watch and listen to
	Share    string // the ID of the share from which it comes
	Session  uint64 // not zero: it ends with the logins of browsers; see EndCookies
	JTI      string // of a content token, for the log
	MayShare bool
}

// all is the glob of all cameras.
const all = "*"

// May returns nil if the principal's role has the action for any camera. The errors are those
// of Grant.
func (p Principal) May(action Action) error {
	switch {
	case !p.Expires.IsZero() && !time.Now().Before(p.Expires):
		return failure.New(failure.Viewer, reason.AccessExpired, nil)
	case p.Camera != "" && action != Watch && action != Listen:
		return failure.New(failure.Viewer, reason.AccessDenied, nil)
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
	if !p.covers(camera) {
		return failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return nil
}

// covers compares a single camera as it is: its name may have characters of globs.
func (p Principal) covers(camera string) bool {
	if p.Camera != "" {
		return p.Camera == camera
	}
	return slices.ContainsFunc(p.Cameras, func(glob string) bool { return name.Match(glob, camera) })
}

// withoutStream returns the first two segments of a name.
func withoutStream(camera string) string {
	if i := strings.LastIndexByte(camera, '/'); strings.Count(camera, "/") == 2 {
		return camera[:i]
	}
	return camera
}

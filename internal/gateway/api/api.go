// Package api serves the gateway's HTTP API: which cameras there are, in which state their
// streams are and why not, who watches, how an operator acts on that, and how a browser logs in.
//
//	GET    /api/me                         who the client is
//	GET    /api/cameras                    the cameras that the token covers
//	GET    /api/cameras/{camera}           one camera with tracks, rates, outputs and links
//	POST   /api/cameras/{camera}:diagnose  asks each hop, one after the other; admin
//	POST   /api/cameras/{camera}:close     ends the camera's streams and their viewers; admin
//	GET    /api/events                     the cameras, and then their changes, as server-sent events
//	GET    /api/viewers                    who watches; admin
//	DELETE /api/viewers/{id}               disconnects a viewer; admin
//	POST   /api/tokens                     a content token of one camera, with links
//	GET    /api/shares                     links that open one camera for others
//	POST   /api/shares                     makes one
//	DELETE /api/shares/{id}                revokes one
//	POST   /api/logins                     a code that logs in once; admin
//	POST   /login                          sets the login cookie
//	POST   /logout                         removes it
//	POST   /share                          opens a share
//	GET    /.well-known/jwks.json          the public keys of content tokens (RFC 7517)
//
// A camera is {device}/{camera} or an alias, with /{stream} behind it for one stream. Each
// segment is percent-encoded. The last ":" that is not encoded begins the action of a POST.
//
// Each request needs a token in "Authorization: Bearer" or the login cookie, but for the last
// four. Package browser has the rules for pages. Bodies are JSON objects without members that
// the route does not have. Errors are problem documents (RFC 9457) with the members of
// failure.Failure. A camera that the token does not cover is
// refused alike whether it exists or not.
//
// Code belongs here if it is about routes and their JSON. The package knows
// neither media formats nor how cameras are reached.
package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/weblog"
)

// Options are what New needs. All of them are required, but for Denied, Ended, Links, Outputs and
// LastPicture. The functions are called concurrently. Names of cameras are full names of two
// segments, decoded.
type Options struct {
	Access  *access.Access
	Browser *browser.Policy
	Log     zerolog.Logger
	// Denied takes the failure of each request that access refused; may be nil.
	Denied func(*failure.Failure)
	// Ended is called when a share or logins were ended, so that their viewers end; may be nil.
	Ended func()

	// Cameras returns all cameras, sorted by name. The API does not change the slice.
	Cameras func() []Camera
	// Lookup returns the camera with a name or an alias, and the stream if the name has one.
	// Errors are failures: CAM_UNKNOWN, PATH_UNKNOWN.
	Lookup func(name string) (camera Camera, stream string, err error)
	// State returns the state of a camera's stream; the zero State if it was never open.
	State func(camera, stream string) stream.State
	// LastPicture returns when the gateway received the newest picture of a stream that it can
	// show; zero if there is none.
	LastPicture func(camera, stream string) time.Time
	// Watch calls changed with the name of each camera whose streams changed their states, and
	// with "" after other changes of cameras, until ctx is done. It runs while clients read
	// events, once at a time.
	Watch func(ctx context.Context, changed func(camera string))
	// Viewers returns who watches, in any order.
	Viewers func() []Viewer
	// Disconnect ends a viewer, and reports whether there was one with this id.
	Disconnect func(id string) bool
	// Close ends a stream of a camera and its readers, all streams if stream is empty.
	Close func(camera, stream string)
	// Diagnose asks each hop to a camera, and returns what encoding/json encodes. stream is
	// empty for the default one. A failure that it found is part of the result.
	Diagnose func(ctx context.Context, camera, stream string) (any, error)

	// Links are the base URLs of outputs beside HTTP by their name, such as "rtsp":
	// "rtsp://host:8554".
	Links map[string]string
	// Outputs are the outputs over HTTP: OutputMSE and the like, the preferred one first.
	Outputs []string
}

// Camera is a camera as the API shows it.
type Camera struct {
	Name    string // full name
	Title   string
	Video   string // the video's name, which is an alias
	GUID    string // of the video
	Hub     string // "" for a direct source
	Streams []Stream
	// Failure is why the camera cannot be reached whatever its streams do, such as a module
	// that is not connected; nil if nothing is known.
	Failure *failure.Failure
}

// Stream is one stream of a camera as the configuration has it; zeros are not known.
type Stream struct {
	Name                         string
	Default                      bool // served if a name has no stream
	Codec                        string
	Width, Height, BitsPerSecond int
	// Failure is why the stream cannot be opened, such as PATH_UNKNOWN; nil if it can.
	Failure *failure.Failure
}

// Viewer is a client that watches.
type Viewer struct {
	ID         string    `json:"id"`
	Camera     string    `json:"camera"` // full name
	Stream     string    `json:"stream"`
	Principal  string    `json:"principal"`
	RemoteAddr string    `json:"remoteAddress"`
	Output     string    `json:"output"`
	Since      time.Time `json:"since"`
	Bytes      uint64    `json:"bytes"`
	Skipped    uint64    `json:"skippedGroups"`
}

const (
	// maxBody bounds the body of a request, in bytes.
	maxBody = 128 << 10
	// maxDiagnoses bounds the diagnoses that run at once; each opens a tunnel.
	maxDiagnoses = 4
)

// API serves the routes. It is safe for concurrent use.
type API struct {
	Options

	mux       *http.ServeMux
	log       *weblog.Log
	diagnoses chan struct{} // a place for each that runs
	feed      feed
	stall     time.Duration // eventStall, but in tests
}

// New returns the API. It starts no goroutine.
func New(o Options) *API {
	a := &API{
		Options: o, mux: http.NewServeMux(), log: weblog.New(o.Log, "API request", zerolog.InfoLevel),
		diagnoses: make(chan struct{}, maxDiagnoses), stall: eventStall,
	}
	a.feed.source = a
	for pattern, methods := range a.routes() {
		a.mux.Handle(pattern, methods)
	}
	return a
}

// Handler returns the handler of the paths for which Serves is true, below the path of the public URL, for clients whose
// addresses client returns.
func (a *API) Handler(client func(*http.Request) netip.Addr) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, client(r)) })
}

const (
	camerasRoute = "/api/cameras"
	viewersRoute = "/api/viewers"
	loginRoute   = "/login"
	logoutRoute  = "/logout"
	shareRoute   = "/share"
	sharesRoute  = "/api/shares"
	keysRoute    = "/.well-known/jwks.json"
)

// Serves reports whether Handler has a path, below the path of the public URL.
func Serves(path string) bool { return strings.HasPrefix(path, "/api/") || open(path) }

func (a *API) routes() map[string]methods {
	return map[string]methods{
		"/api/me":              {http.MethodGet: a.showMe},
		camerasRoute:           {http.MethodGet: a.listCameras},
		camerasRoute + "/":     {http.MethodGet: a.showCamera, http.MethodPost: a.actOnCamera},
		"/api/events":          {http.MethodGet: a.streamEvents},
		viewersRoute:           {http.MethodGet: a.listViewers},
		viewersRoute + "/{id}": {http.MethodDelete: a.deleteViewer},
		"/api/tokens":          {http.MethodPost: a.mintToken},
		"/api/logins":          {http.MethodPost: a.makeLogin},
		sharesRoute:            {http.MethodGet: a.listShares, http.MethodPost: a.makeShare},
		sharesRoute + "/{id}":  {http.MethodDelete: a.revokeShare},
		shareRoute:             {http.MethodPost: a.openShare},
		loginRoute:             {http.MethodPost: a.login},
		logoutRoute:            {http.MethodPost: a.logout},
		keysRoute:              {http.MethodGet: a.showKeys},
		"/":                    {},
	}
}

// open reports whether a route needs no principal.
func open(path string) bool {
	switch path {
	case loginRoute, logoutRoute, shareRoute, keysRoute:
		return true
	}
	return false
}

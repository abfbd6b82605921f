// Package api serves the gateway's HTTP API: which cameras there are, in which state their
// streams are and why not, who watches, and how an operator acts on that.
//
//	GET    /api/cameras                    the cameras that the token covers
//	GET    /api/cameras/{camera}           one camera with tracks, rates and links
//	POST   /api/cameras/{camera}:diagnose  asks each hop, one after the other; admin
//	POST   /api/cameras/{camera}:close     ends the camera's streams and their viewers; admin
//	GET    /api/viewers                    who watches; admin
//	DELETE /api/viewers/{id}               disconnects a viewer; admin
//
// A camera is {device}/{camera} or an alias, with /{stream} behind it for one stream. Each
// segment is percent-encoded. The last ":" that is not encoded begins the action of a POST.
//
// Each request needs a token in "Authorization: Bearer". Errors are problem documents (RFC
// 9457) with the members of failure.Failure. A camera that the token does not cover is
// refused alike whether it exists or not.
//
// Code belongs here if it is about routes and their JSON. The package knows
// neither media formats nor how cameras are reached.
package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/weblog"
)

// Options are what New needs. All of them are required, but Links. The functions are called
// concurrently. Names of cameras are full names of two segments, decoded.
type Options struct {
	Access *access.Access
	// Client returns the address of a request's client.
	Client func(*http.Request) netip.Addr
	Log    zerolog.Logger
	// Denied takes the failure of each request that access refused; may be nil.
	Denied func(*failure.Failure)

	// Cameras returns all cameras, sorted by name. The API does not change the slice.
	Cameras func() []Camera
	// Lookup returns the camera with a name or an alias, and the stream if the name has one.
	// Errors are failures: CAM_UNKNOWN, PATH_UNKNOWN.
	Lookup func(name string) (camera Camera, stream string, err error)
	// State returns the state of a camera's stream; the zero State if it was never open.
	State func(camera, stream string) stream.State
	// Viewers returns who watches, in any order.
	Viewers func() []Viewer
	// Disconnect ends a viewer, and reports whether there was one with this id.
	Disconnect func(id string) bool
	// Close ends a stream of a camera and its readers, all streams if stream is empty.
	Close func(camera, stream string)
	// Diagnose asks each hop to a camera, and returns what encoding/json encodes. stream is
	// empty for the default one. A failure that it found is part of the result.
	Diagnose func(ctx context.Context, camera, stream string) (any, error)

	// Links are the outputs' base URLs by their name, such as "rtsp": "rtsp://host:8554".
	Links map[string]string
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
	// maxBody bounds the body of a request, in bytes. No route reads one.
	maxBody = 128 << 10
	// maxDiagnoses bounds the diagnoses that run at once; each opens a tunnel.
	maxDiagnoses = 4
)

// API is the handler of /api/. It is safe for concurrent use.
type API struct {
	Options

	mux       *http.ServeMux
	log       *weblog.Log
	diagnoses chan struct{} // a place for each that runs
}

// New returns the handler. It starts no goroutine.
func New(o Options) *API {
	a := &API{Options: o, mux: http.NewServeMux(), log: weblog.New(o.Log, "API request", zerolog.InfoLevel), diagnoses: make(chan struct{}, maxDiagnoses)}
	for pattern, methods := range map[string]methods{
		camerasRoute:           {http.MethodGet: a.listCameras},
		camerasRoute + "/":     {http.MethodGet: a.showCamera, http.MethodPost: a.actOnCamera},
		viewersRoute:           {http.MethodGet: a.listViewers},
		viewersRoute + "/{id}": {http.MethodDelete: a.deleteViewer},
		"/":                    {},
	} {
		a.mux.Handle(pattern, methods)
	}
	return a
}

const (
	camerasRoute = "/api/cameras"
	viewersRoute = "/api/viewers"
)

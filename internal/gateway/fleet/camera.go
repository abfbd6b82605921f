package fleet

import (
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/hub/hubclient"
)

// StreamInfo is one stream of a camera: its path, and hints that are zero if unknown.
type StreamInfo = desired.Stream

// Camera is one camera. It is a copy, except for Streams, which is read-only.
type Camera struct {
	Name  string // DEVICE/CAMERA or DEVICE/MODULE.CAMERA, decoded
	Title string // for people; may be empty
	Alias string // another name, from the file; may be empty
	// Video is the name of the camera's video, and GUID its UUID. Both are empty if two
	// cameras without an alias would have the same.
	Video, GUID string

	Hub       string             // key of Config.Hubs; empty for a direct source
	Identity  hubclient.Identity // of the module with the camera
	LocalPort int                // by which the module knows the camera
	URL       string             // rtsp:// without a login of a direct source; empty for a tunnel
	Disabled  bool               // the module opens no tunnel to the camera

	Streams     map[string]StreamInfo // by name; nil if no path is known
	Credentials Credentials
	KeepOpen    bool

	Report Report
}

// Credentials are a camera's login. Printing them shows no secret.
type Credentials struct{ Username, Password string }

// String hides user and password.
func (Credentials) String() string { return "***" }

// GoString hides user and password.
func (Credentials) GoString() string { return "***" }

// MarshalJSON hides user and password.
func (Credentials) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// Report is what the hub and the module last said about a discovered camera. It may be some
// minutes old, and is no reason not to open a stream.
type Report struct {
	Known       bool        // there is a report: the camera is discovered
	Connected   bool        // the module is connected to the hub
	Since       time.Time   // when Connected changed, as far as the gateway knows; may be zero
	Module      string      // healthy, degraded, stopped or empty: the module's state
	State       string      // ok, unreachable, offlineExpected or empty: the module's last dial of the camera
	StateSince  time.Time   // when State changed; may be zero
	LastReason  reason.Code // why the module's last dial failed; may be empty
	OpenTunnels int         // to the camera, from all callers
}

// Check returns why the stream cannot be opened with what is configured, or nil: it is a
// *failure.Failure with CAM_DISABLED, PATH_UNKNOWN or, for a stream other than main,
// CAM_UNKNOWN.
func (c *Camera) Check(stream string) error {
	_, there := c.Streams[stream]
	switch {
	case c.Disabled:
		return failure.New(failure.Module, reason.CameraDisabled, nil)
	case there:
		return nil
	case len(c.Streams) == 0:
		return failure.New(failure.Gateway, reason.PathUnknown, nil)
	}
	f := failure.New(failure.Viewer, reason.CameraUnknown, nil)
	if stream == desired.MainStream {
		f = failure.New(failure.Gateway, reason.PathUnknown, nil)
	}
	f.Message = "the camera has no stream with this name; it has " + strings.Join(slices.Sorted(maps.Keys(c.Streams)), ", ")
	return f
}

// Trouble returns what the last report says against opening the camera, or nil: the module
// is not connected, or did not reach the camera.
func (c *Camera) Trouble() *failure.Failure {
	r := c.Report
	switch {
	case !r.Known:
		return nil
	case !r.Connected:
		return failure.New(failure.Module, reason.ModuleOffline, nil).At(r.Since, time.Time{})
	case r.State == "unreachable" && r.LastReason != "":
		return failure.New(failure.Camera, r.LastReason, nil).At(r.StateSince, time.Time{})
	default:
		return nil
	}
}

// Source returns the RTSP URL of a stream, without a login, and the address to dial for it:
// host:port of a direct source, or empty for a tunnel.
func (c *Camera) Source(stream string) (address, rtspURL string) {
	path := c.Streams[stream].Path
	if c.URL == "" {
		return "", "rtsp://localhost:554" + path
	}
	u, err := url.Parse(c.URL)
	if err != nil { // direct refuses such a URL
		return "", ""
	}
	port := u.Port()
	if port == "" {
		port = "554"
	}
	return net.JoinHostPort(u.Hostname(), port), "rtsp://" + u.Host + path
}

// direct returns the camera's URL and the path of its stream main. ok is false if the URL
// is not an rtsp URL without a login.
func direct(text string) (path string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "rtsp" || u.User != nil || u.Hostname() == "" {
		return "", false
	}
	path = absolute(u.EscapedPath())
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path, true
}

// absolute returns a path with a slash at its begin.
func absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return "/" + path
}

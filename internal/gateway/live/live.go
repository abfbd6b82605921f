// Package live serves viewers of live video over HTTP. It has what the outputs for browsers
// have in common: the route, whose last segments name the output, the login, and the request
// of a viewer that may watch.
//
//	GET /live/{name}/mse          fMP4 over a WebSocket, for Media Source Extensions
//	GET /live/{name}/hls/{file}   LL-HLS
//	GET /live/{name}/still.mp4    the newest picture
//	GET /live/{name}/rtsp         RTSP over a WebSocket
//	GET /rtsp-tunnel/{uuid}       the same, by the UUID of the camera's video
//
// {name} is a camera or an alias, with or without a stream, each segment percent-encoded.
// Errors before an upgrade are problem documents (RFC 9457).
//
// Code belongs here if all outputs over HTTP need it. The package does not know how an output
// writes media, nor how a request carries its token.
package live

import (
	"net/http"
	"net/netip"

	"rtsptunnel/internal/gateway/access"
)

// Request is the request of a viewer that may watch the camera.
type Request struct {
	Camera string // full name of two segments, decoded
	Stream string // the stream's name
	Title  string // of the camera

	Principal access.Principal
	From      netip.Addr // the client
	File      string     // what follows the output's segment in the path; only HLS has files

	// Playback is the query with which a playlist's URLs continue this playback, such as
	// "p=…". It holds no token that opens anything else.
	Playback string
}

// Output serves one protocol. It is safe for concurrent use.
type Output interface {
	// ServeLive serves the viewer until it leaves or r's context ends. It may hijack w.
	ServeLive(w http.ResponseWriter, r *http.Request, v Request)
}

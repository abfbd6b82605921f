// Package tunnelopen is the contract: the direct method with which the cloud requests a
// tunnel, as specified in "Connect devices to Azure Video Analyzer".
//
// The flow:
//   - the cloud invokes MethodName on a device or module that announced ModelID, with a
//     [Request] as the JSON payload;
//   - the edge answers with the status and body of [Response]: 200 and {} when the tunnel
//     is open, else an [Error], whose body has exactly three members;
//   - the WebSocket of the tunnel has the header fields of [Header].
//
// The package is pure: it has no network, no MQTT and no logging, so that the edge and the
// cloud end can share it. Code belongs here if the contract requires it and both ends must
// agree on it.
package tunnelopen

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

const (
	// MethodName is the direct method's name ("Implement the direct method
	// tunnelOpen").
	MethodName = "tunnelOpen"
	// ModelID is the IoT Plug and Play model to announce ("IoT Device Client
	// Configuration").
	ModelID = "dtmi:azure:videoanalyzer:WebSocketTunneling;1"
)

// The header fields of the WebSocket's opening request, beside User-Agent.
const (
	AuthorizationField = "Authorization"
	SourceField        = "TunnelConnectionSource"
	SourcePnPDevice    = "PnpDevice" // the value of SourceField
	BearerPrefix       = "Bearer "   // precedes the token in AuthorizationField
)

// Request asks for one tunnel.
type Request struct {
	RemoteEndpoint string // wss URL of at most 8 KiB, checked by Decode; its query may be secret
	// URL is RemoteEndpoint, parsed by Decode. It is read only, and nil in a request that
	// Decode did not return.
	URL *url.URL

	Token     Token // 1 to 16384 visible ASCII characters, checked by Decode
	LocalPort int   // names the camera; any integer: a number that is no port names no camera
}

// Header returns the header of the WebSocket's opening request: the bearer token, the
// source and the User-Agent. No other field may hold the token.
func Header(token Token, userAgent string) http.Header {
	return http.Header{
		AuthorizationField: {BearerPrefix + string(token)},
		SourceField:        {SourcePnPDevice},
		"User-Agent":       {userAgent},
	}
}

// Token is the bearer token of a request. It prints as *** in every format, also as JSON.
// Convert it to string only where it is sent.
type Token string

var (
	_ fmt.Formatter  = Token("")
	_ json.Marshaler = Token("")
)

// Format implements fmt.Formatter for all verbs.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalJSON keeps the token out of structured logs.
func (t Token) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote("***")), nil }

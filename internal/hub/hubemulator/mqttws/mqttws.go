// Package mqttws accepts MQTT clients over WebSocket. It answers the upgrade requests among
// the requests of an HTTP server, and converts each WebSocket to a net.Conn. The broker
// handles MQTT on it, including the login.
//
// Two kinds of requests are for MQTT:
//   - requests for IoT Hub's path, "/$iothub/websocket" (Microsoft, "Communicate with an
//     IoT hub using the MQTT protocol");
//   - upgrade requests for any path with the subprotocol "mqtt", as with edge hub
//     (Azure/iotedge, WebSocketHandlingMiddleware).
//
// A request for IoT Hub's path without the subprotocol is refused (MQTT 3.1.1, section 6:
// the client MUST offer it). Queries are ignored: SDKs add iothub-no-client-cert=true.
//
// The binary messages form one stream of bytes: a message may contain several packets or
// a part of one. A text message ends the connection with close code 1003, a message of
// more than 1 MB with 1009. There is no compression: Microsoft's SDKs offer it and do not
// need it.
package mqttws

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/wsstream"
)

const (
	// Path is the path of IoT Hub's WebSocket.
	Path = "/$iothub/websocket"

	subprotocol = "mqtt"
	// upgradeTimeout limits the write of the answer to an upgrade request.
	upgradeTimeout = 5 * time.Second
	// maxMessage is the largest message accepted, in bytes. The broker accepts packets of
	// 256 KB, and a message may contain a few.
	maxMessage = 1 << 20
	// closeTimeout limits the write of a Close frame.
	closeTimeout = 5 * time.Second

	codeArgumentInvalid = "ArgumentInvalid"
)

// Options are what the handler needs.
type Options struct {
	// ServeConn serves one client until the end of its connection, and closes the
	// connection. See New for what the connection guarantees. Required.
	ServeConn func(net.Conn) error
	// Next handles all other requests. Required.
	Next http.Handler
	// Log gets refused upgrades with the reason. It never gets a header.
	Log zerolog.Logger
}

type handler struct {
	Options
	upgrader websocket.Upgrader
}

// New returns a handler, safe for concurrent use, for an HTTP/1.1 server. It passes each
// connection to ServeConn on the goroutine of the request. The HTTP server does not own
// the connection any more.
//
// Reads and writes of a connection may run concurrently, and the other methods may be
// called at any time. Deadlines also apply to calls in progress; an expired deadline ends
// the connection permanently. Close sends a Close frame, and may wait 10 s for a peer that
// does not read. NetConn returns the TLS or TCP connection below, whose Close sends no
// frame.
func New(o Options) http.Handler {
	h := &handler{Options: o}
	h.upgrader = websocket.Upgrader{
		HandshakeTimeout: upgradeTimeout,
		Subprotocols:     []string{subprotocol},
		// Any origin is allowed: the login is in MQTT, and there are no cookies that a
		// browser would add to a cross-site request.
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			h.refuse(w, r, status, reason.Error())
		},
	}
	return h
}

// ServeHTTP handles the requests for MQTT, and passes all others to Next.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrade, offered := websocket.IsWebSocketUpgrade(r), slices.Contains(websocket.Subprotocols(r), subprotocol)
	switch {
	case upgrade && offered:
		h.serveWebSocket(w, r)
	case r.URL.Path != Path:
		h.Next.ServeHTTP(w, r)
	case upgrade:
		h.refuse(w, r, http.StatusBadRequest, "the WebSocket does not offer the subprotocol mqtt, which is the only one here")
	default:
		h.refuse(w, r, http.StatusBadRequest, "this resource wants an upgrade to a WebSocket")
	}
}

func (h *handler) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	ws, err := h.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // refuse has answered and logged, or the client has disconnected
	}
	stream := wsstream.New(ws, wsstream.Options{MaxMessage: maxMessage, CloseTimeout: closeTimeout})
	if err := h.ServeConn(stream); err != nil {
		h.Log.Debug().Err(err).Msg("WebSocket not served")
	}
}

// refuse answers with an error in the form of IoT Hub's REST API.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	h.Log.Warn().Str("reason", text).Int("status", status).Str("path", r.URL.EscapedPath()).
		Str("remote", r.RemoteAddr).Msg("upgrade to WebSocket refused")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("iothub-errorcode", codeArgumentInvalid)
	w.WriteHeader(status)
	body := struct{ Message, ExceptionMessage string }{
		"ErrorCode:" + codeArgumentInvalid + ";" + text, "Tracking ID:" + rand.Text(),
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		h.Log.Debug().Err(err).Msg("answer not delivered")
	}
}

// Package mqttws lets MQTT clients in by WebSocket: it answers the upgrade
// requests among the requests of an HTTP server and makes a net.Conn of each
// WebSocket. What is said over it is the broker's business, the login
// included.
//
// A WebSocket is MQTT's if its path is IoT Hub's, "/$iothub/websocket"
// (Microsoft, "Communicate with an IoT hub using the MQTT protocol"), or if it
// offers the subprotocol "mqtt", as edge hub has it (Azure/iotedge,
// WebSocketHandlingMiddleware: any path). Without that offer it is refused
// either way (MQTT 3.1.1, section 6: the client MUST offer it). Queries are
// passed over: SDKs add iothub-no-client-cert=true.
//
// The bytes of MQTT are those of the binary messages, one after the other: a
// message may hold several packets or a part of one. A text message ends the
// connection with close code 1003, a message of more than 1 MB with 1009.
// There is no compression: Microsoft's SDKs offer it and do not need it.
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
)

const (
	// Path is IoT Hub's.
	Path = "/$iothub/websocket"

	subprotocol = "mqtt"
	// upgradeWithin bounds the writing of the answer to an upgrade request.
	upgradeWithin = 5 * time.Second

	codeArgumentInvalid = "ArgumentInvalid"
)

// Options are what the handler needs.
type Options struct {
	// ServeConn serves one client until its end, and closes the connection,
	// see New. Required.
	ServeConn func(net.Conn) error
	// Next takes all other requests. Required.
	Next http.Handler
	// Log gets refused upgrades with the reason. Never a header.
	Log zerolog.Logger
}

type handler struct {
	Options
	upgrader websocket.Upgrader
}

// New returns a handler, safe for concurrent use, for a server that speaks
// HTTP/1.1. Each connection it makes is given to ServeConn in the request's
// goroutine, and is no longer the HTTP server's.
//
// Reads and writes of a connection may run at the same time, and any method at
// any time. Deadlines hold for what is running too; one that passes ends the
// connection for good. Close says so to the peer and may wait 10 s for one that
// does not read; NetConn returns the connection below, TLS or TCP, whose Close
// does not say so.
func New(o Options) http.Handler {
	h := &handler{Options: o}
	h.upgrader = websocket.Upgrader{
		HandshakeTimeout: upgradeWithin,
		Subprotocols:     []string{subprotocol},
		// A page of any origin may come: the login is in MQTT, and there is
		// no cookie that a browser would add to a request of somebody else.
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			h.refuse(w, r, status, reason.Error())
		},
	}
	return h
}

// ServeHTTP takes upgrade requests for MQTT and passes the others on.
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
		return // answered and logged by refuse, or the client is gone
	}
	if err := h.ServeConn(newConn(ws)); err != nil {
		h.Log.Debug().Err(err).Msg("WebSocket not served")
	}
}

// refuse answers as IoT Hub's REST API does.
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

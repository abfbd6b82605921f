package opener

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/wire/wsconn"
)

// The log has a line for each of the first refused requests, and then one line in an
// interval: anybody on the network can send such requests.
const (
	refusalsAtOnce  = 10
	refusalInterval = 10 * time.Second
)

var _ http.Handler = (*Opener)(nil)

// ServeHTTP accepts the WebSocket of a pending tunnel. It answers every other request with
// 404, or with 401 if only the token is wrong, and ends its connection. It serves the path
// of the endpoint, and the same path without the endpoint's own one, since a reverse proxy
// may remove that.
func (o *Opener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, status, why := o.claim(r)
	if p == nil {
		o.noteRefusal(r, status, why)
		w.Header().Set("Connection", "close") // a stranger holds nothing here
		http.Error(w, http.StatusText(status), status)
		return
	}
	var ws *wsconn.Conn // nil after an error: Open waits for the end
	defer func() { o.accepted(p, ws) }()
	conn, err := wsconn.Accept(w, r)
	if err != nil {
		o.log.Warn().Err(err).Str("remote", r.RemoteAddr).Msg("tunnel's websocket not accepted")
		return
	}
	ws = conn
}

// claim returns and removes the pending tunnel of a request: a token is valid once. If
// there is none, it returns the status of the answer and why.
func (o *Opener) claim(r *http.Request) (p *pendingTunnel, status int, why string) {
	id, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, o.prefix), PathPrefix)
	if !ok {
		return nil, http.StatusNotFound, "no such path"
	}
	token, bearer := strings.CutPrefix(r.Header.Get(tunnelopen.AuthorizationField), tunnelopen.BearerPrefix)
	sum := sha256.Sum256([]byte(token))
	o.mu.Lock()
	defer o.mu.Unlock()
	p, ok = o.pending[id]
	switch {
	case !ok:
		return nil, http.StatusNotFound, "no pending tunnel with this id"
	case subtle.ConstantTimeCompare(sum[:], p.sum[:]) != 1 || !bearer:
		return nil, http.StatusUnauthorized, "wrong token"
	case r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return nil, http.StatusNotFound, "not a WebSocket"
	}
	delete(o.pending, id)
	p.claimed = true
	return p, 0, ""
}

// noteRefusal logs a refused request. A line counts the requests since the last line.
func (o *Opener) noteRefusal(r *http.Request, status int, why string) {
	o.refused.Add(1)
	o.noted.Do(func() {
		o.log.Warn().Str("remote", r.RemoteAddr).Int("code", status).Str("why", why).
			Uint64("requests", o.refused.Swap(0)).Msg("request refused")
	})
}

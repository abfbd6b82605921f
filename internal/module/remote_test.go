package module_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/localca"
)

// remote is a remote endpoint that is not our code: gorilla's server, with a certificate
// of its own authority.
type remote struct {
	*httptest.Server
	ca      *localca.CA
	tunnels chan tunnel

	mu     sync.Mutex
	answer int               // if not 0, the HTTP status instead of a WebSocket
	tamper func(http.Header) // if not nil, changes a request before the response
}

// tunnel is the far end of one WebSocket.
type tunnel struct {
	*websocket.Conn
	header http.Header
}

func newRemote(t *testing.T) *remote {
	t.Helper()
	r := &remote{tunnels: make(chan tunnel, 32)}
	var err error
	if r.ca, err = localca.New("test remote CA"); err != nil {
		t.Fatal(err)
	}
	cert, err := r.ca.Issue("127.0.0.1", "gw.example")
	if err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewUnstartedServer(r)
	r.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *remote) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	answer, tamper := r.answer, r.tamper
	r.mu.Unlock()
	if answer != 0 {
		w.Header().Set("Location", "https://127.0.0.1:1/elsewhere")
		w.WriteHeader(answer)
		return
	}
	if tamper != nil {
		tamper(req.Header)
	}
	ws, err := (&websocket.Upgrader{EnableCompression: true}).Upgrade(w, req, nil)
	if err != nil {
		return
	}
	if tamper != nil {
		ws.Close()
		return
	}
	r.tunnels <- tunnel{ws, req.Header}
}

// refuse makes the remote end respond with this status, or with a WebSocket again if 0.
func (r *remote) refuse(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

// misread makes the remote end respond to a changed request.
func (r *remote) misread(tamper func(http.Header)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tamper = tamper
}

func (r *remote) endpoint() string { return "wss" + strings.TrimPrefix(r.URL, "https") + "/tunnel/1" }

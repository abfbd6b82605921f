// Package opener opens tunnels: it requests a tunnel from a module, accepts
// the WebSocket that the module opens, and returns it as a connection to the camera.
//
// A tunnel opens in these steps:
//   - [Gateway.Open] creates a pending tunnel: a random id, which is the path of the
//     remote endpoint, and a random token for one use;
//   - it invokes tunnelOpen on the module with the hub's REST API;
//   - the module dials the endpoint; [Gateway.ServeHTTP] checks the token and accepts the
//     WebSocket for the pending tunnel;
//   - the module answers 200, and Open returns the connection.
//
// [Gateway.Publish] opens a tunnel for each client of a TCP listener, so that any RTSP
// player can play the camera. Pending tunnels are kept in memory: a module dials the
// instance that requested the tunnel, since the endpoint has the instance's address.
//
// Code belongs here if it opens, accepts or publishes tunnels. The package does not know
// RTSP or media.
package opener

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/wire/wsconn"
)

// pathPrefix is the path of a remote endpoint before its id.
const pathPrefix = "/tunnel/"

// The hub's timeouts for a direct method: for the module to connect, which covers a
// restart, and to answer. The module's own timeout for opening is 20 s.
const (
	connectTimeout  = 10 * time.Second
	responseTimeout = 30 * time.Second
)

// Options configure a Gateway.
type Options struct {
	Hub     *hubclient.Client // required
	BaseURL string            // wss://host:port at which modules reach ServeHTTP; required
	Log     zerolog.Logger
	// Observe receives the events of the tunnels of Publish; may be nil. It is called
	// concurrently and must not block.
	Observe func(Event)
}

// Gateway opens tunnels. It is safe for concurrent use.
type Gateway struct {
	o Options

	mu      sync.Mutex
	pending map[string]*pendingTunnel // by id
}

// New returns a gateway without tunnels.
func New(o Options) *Gateway {
	return &Gateway{o: o, pending: make(map[string]*pendingTunnel)}
}

// pendingTunnel is a requested tunnel whose WebSocket has not been accepted.
type pendingTunnel struct {
	token [sha256.Size]byte // the token's hash, which has a constant length for the comparison
	conn  chan net.Conn     // receives one value after claim; nil if accepting failed
}

var _ http.Handler = (*Gateway)(nil)

// Camera is a camera and its module.
type Camera struct {
	Name      string             // for people and logs
	Identity  hubclient.Identity // the module in front of it
	LocalPort int
}

// Open opens a tunnel to the camera. ctx bounds the opening, not the tunnel. The error is
// an *OpenError that names the hop. The caller closes the connection.
func (g *Gateway) Open(ctx context.Context, c Camera) (net.Conn, error) {
	id, token := newID(), newToken()
	p := g.addPending(id, token)
	payload, err := tunnelopen.Encode(tunnelopen.Request{
		RemoteEndpoint: strings.TrimSuffix(g.o.BaseURL, "/") + pathPrefix + id, Token: token, LocalPort: c.LocalPort,
	})
	if err != nil {
		g.abandon(id, p)
		return nil, &OpenError{Hop: HopGateway, Err: err}
	}
	status, answer, err := g.o.Hub.Invoke(ctx, c.Identity, hubclient.Method{
		Name: tunnelopen.MethodName, Payload: payload, ConnectTimeout: connectTimeout, ResponseTimeout: responseTimeout,
	})
	if err != nil {
		g.abandon(id, p)
		return nil, hubError(err)
	}
	if status != http.StatusOK {
		g.abandon(id, p)
		return nil, moduleError(c, tunnelopen.DecodeFailure(status, answer))
	}
	conn := g.takeConn(id, p)
	if conn == nil {
		return nil, &OpenError{Hop: HopGateway, Err: errors.New("the module reports an open tunnel, but this gateway has accepted none")}
	}
	return conn, nil
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// newToken returns a token of 256 random bits.
func newToken() tunnelopen.Token {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return tunnelopen.Token(base64.RawURLEncoding.EncodeToString(b[:]))
}

func (g *Gateway) addPending(id string, token tunnelopen.Token) *pendingTunnel {
	p := &pendingTunnel{token: sha256.Sum256([]byte(token)), conn: make(chan net.Conn, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending[id] = p
	return p
}

// takeConn removes a pending tunnel and returns its connection, nil if none was accepted.
// It waits for a running ServeHTTP: the module may have read the answer to its handshake
// before ServeHTTP has returned from writing it.
func (g *Gateway) takeConn(id string, p *pendingTunnel) net.Conn {
	g.mu.Lock()
	_, waiting := g.pending[id]
	delete(g.pending, id)
	g.mu.Unlock()
	if waiting {
		return nil
	}
	return <-p.conn
}

// abandon removes a pending tunnel and closes its connection, if there is one.
func (g *Gateway) abandon(id string, p *pendingTunnel) {
	if conn := g.takeConn(id, p); conn != nil {
		_ = conn.Close()
	}
}

// ServeHTTP accepts the WebSocket of a pending tunnel. It answers every other request with
// 404, or with 401 if only the token is wrong, and logs it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, status, why := g.claim(r)
	if status != 0 {
		g.o.Log.Warn().Str("remoteAddr", r.RemoteAddr).Int("code", status).Str("why", why).Msg("request refused")
		http.Error(w, http.StatusText(status), status)
		return
	}
	var accepted net.Conn // nil after an error: takeConn waits for a value
	defer func() { p.conn <- accepted }()
	conn, err := wsconn.Accept(w, r)
	if err != nil {
		g.o.Log.Warn().Err(err).Str("remoteAddr", r.RemoteAddr).Msg("tunnel's websocket not accepted")
		return
	}
	accepted = conn
}

// claim returns and removes the pending tunnel of a request: a token is valid once. If
// there is none, it returns the status of the answer and why.
func (g *Gateway) claim(r *http.Request) (p *pendingTunnel, status int, why string) {
	id, ok := strings.CutPrefix(r.URL.Path, pathPrefix)
	if !ok {
		return nil, http.StatusNotFound, "no such path"
	}
	token, bearer := strings.CutPrefix(r.Header.Get(tunnelopen.AuthorizationField), tunnelopen.BearerPrefix)
	sum := sha256.Sum256([]byte(token))
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok = g.pending[id]
	switch {
	case !ok:
		return nil, http.StatusNotFound, "no pending tunnel with this id"
	case subtle.ConstantTimeCompare(sum[:], p.token[:]) != 1 || !bearer:
		return nil, http.StatusUnauthorized, "wrong token"
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return nil, http.StatusNotFound, "not a WebSocket"
	}
	delete(g.pending, id)
	return p, 0, ""
}

// Hop is one step of the path to a camera, for operators.
type Hop string

// The hops, from the cloud to the camera.
const (
	HopHub     Hop = "hub"     // the hub failed
	HopModule  Hop = "module"  // the module is not connected, or does not answer
	HopCamera  Hop = "camera"  // the module cannot reach the camera
	HopGateway Hop = "gateway" // the module cannot reach this gateway
)

// OpenError is the error of a tunnel that did not open.
type OpenError struct {
	Hop Hop
	Err error
}

// Error returns the hop and the cause.
func (e *OpenError) Error() string { return fmt.Sprintf("%s: %v", e.Hop, e.Err) }

// Unwrap returns the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// hubError distinguishes a module that the hub cannot reach from a hub that failed.
func hubError(err error) error {
	e, ok := errors.AsType[*hubclient.Error](err)
	if ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGatewayTimeout) {
		return &OpenError{Hop: HopModule, Err: err}
	}
	return &OpenError{Hop: HopHub, Err: err}
}

// moduleError derives the hop from the target of the contract's error: the endpoint, the
// camera, or neither.
func moduleError(c Camera, refused *tunnelopen.Error) error {
	err := fmt.Errorf("tunnelOpen answered %d: %s (%s)", refused.Status, refused.Message, refused.Target)
	switch {
	case strings.HasPrefix(refused.Target, "wss:"):
		return &OpenError{Hop: HopGateway, Err: err}
	case strings.HasSuffix(refused.Target, fmt.Sprintf(":%d", c.LocalPort)):
		return &OpenError{Hop: HopCamera, Err: err}
	default:
		return &OpenError{Hop: HopModule, Err: err}
	}
}

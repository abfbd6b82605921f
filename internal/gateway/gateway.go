// Package gateway is the cloud end of tunnels: it asks a module for one, accepts
// the WebSocket that the module opens in answer, and hands the two together to
// whoever wanted the camera.
//
// One tunnel goes like this:
//   - [Gateway.Open] makes a pending tunnel: a random id, which becomes the path of
//     the remote endpoint, and a random token, good for one use;
//   - it invokes tunnelOpen on the module by the hub's REST API;
//   - the module dials the endpoint; [Gateway.ServeHTTP] compares the token and
//     takes the WebSocket for the pending tunnel;
//   - the module answers 200, and Open returns the connection.
//
// [Gateway.Publish] does that for each client of a TCP listener, so that any RTSP
// player sees the camera. Pending tunnels live in memory: a tunnel comes back to the
// instance that asked for it, because its own address is in the endpoint.
//
// A line belongs here when it opens, accepts or publishes tunnels. The package does
// not know RTSP; what understands the media goes into packages below it.
package gateway

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

// pathPrefix of a remote endpoint; the id follows.
const pathPrefix = "/tunnel/"

// How long a module may take: to come back to the hub, which a restart needs, and
// to answer. Its own limit for opening is 20 s.
const (
	connectTimeout  = 10 * time.Second
	responseTimeout = 30 * time.Second
)

// Options are what a Gateway is made of.
type Options struct {
	Hub     *hubclient.Client // required
	BaseURL string            // wss://host:port at which modules reach ServeHTTP; required
	Log     zerolog.Logger
	// Observe is told what happens to the tunnels of Publish; may be nil. It is
	// called by several goroutines and must not block.
	Observe func(Event)
}

// Gateway opens tunnels. Its methods may be called by several goroutines.
type Gateway struct {
	o Options

	mu      sync.Mutex
	pending map[string]*pending // by id
}

// New returns a gateway without tunnels.
func New(o Options) *Gateway {
	return &Gateway{o: o, pending: make(map[string]*pending)}
}

// pending is a tunnel that was asked for and has not come yet.
type pending struct {
	token [sha256.Size]byte // of the token: what is compared has a fixed length
	conn  chan net.Conn     // gets one value once the pending tunnel is taken; nil if it broke
}

// Camera is a camera as the gateway addresses it.
type Camera struct {
	Name      string             // for people and logs
	Identity  hubclient.Identity // the module in front of it
	LocalPort int
}

// Open opens a tunnel to the camera; ctx bounds the opening alone. The error is an
// *OpenError that names the hop. The caller closes the connection.
func (g *Gateway) Open(ctx context.Context, c Camera) (net.Conn, error) {
	id, token := newID(), newToken()
	p := g.expect(id, token)
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
	conn := g.collect(id, p)
	if conn == nil {
		return nil, &OpenError{Hop: HopGateway, Err: errors.New("the module says that the tunnel is open, but none came to this gateway")}
	}
	return conn, nil
}

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// newToken has 256 random bits.
func newToken() tunnelopen.Token {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return tunnelopen.Token(base64.RawURLEncoding.EncodeToString(b[:]))
}

func (g *Gateway) expect(id string, token tunnelopen.Token) *pending {
	p := &pending{token: sha256.Sum256([]byte(token)), conn: make(chan net.Conn, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending[id] = p
	return p
}

// collect ends a pending tunnel and returns its connection, if one was taken for
// it. ServeHTTP may still be busy with it: the module can have read the upgrade's
// answer before ServeHTTP has returned from writing it.
func (g *Gateway) collect(id string, p *pending) net.Conn {
	g.mu.Lock()
	_, waiting := g.pending[id]
	delete(g.pending, id)
	g.mu.Unlock()
	if waiting {
		return nil
	}
	return <-p.conn
}

// abandon gives up a pending tunnel.
func (g *Gateway) abandon(id string, p *pending) {
	if conn := g.collect(id, p); conn != nil {
		_ = conn.Close()
	}
}

// ServeHTTP takes the WebSocket of a pending tunnel. Everything else gets 404, or
// 401 if the path is right and the token is not, and a log line.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, status, why := g.take(r)
	if status != 0 {
		g.o.Log.Warn().Str("remoteAddr", r.RemoteAddr).Int("code", status).Str("why", why).Msg("request refused")
		http.Error(w, http.StatusText(status), status)
		return
	}
	var taken net.Conn // stays nil if it is not accepted: collect waits for a value
	defer func() { p.conn <- taken }()
	conn, err := wsconn.Accept(w, r)
	if err != nil {
		g.o.Log.Warn().Err(err).Str("remoteAddr", r.RemoteAddr).Msg("tunnel's websocket not accepted")
		return
	}
	taken = conn
}

// take finds the pending tunnel that a request may have, and removes it: its token
// has been used now.
func (g *Gateway) take(r *http.Request) (p *pending, status int, why string) {
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
		return nil, http.StatusNotFound, "no pending tunnel of this id"
	case subtle.ConstantTimeCompare(sum[:], p.token[:]) != 1 || !bearer:
		return nil, http.StatusUnauthorized, "wrong token"
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return nil, http.StatusNotFound, "not a WebSocket"
	}
	delete(g.pending, id)
	return p, 0, ""
}

// Hop is a part of the way to a camera, as an operator would name it.
type Hop string

// The hops, from the cloud to the camera.
const (
	HopHub     Hop = "hub"     // the hub did not do what was asked of it
	HopModule  Hop = "module"  // the module is not connected, or does not answer
	HopCamera  Hop = "camera"  // the module cannot reach the camera
	HopGateway Hop = "gateway" // the module cannot reach this gateway
)

// OpenError is a tunnel that did not open.
type OpenError struct {
	Hop Hop
	Err error
}

// Error names the hop first.
func (e *OpenError) Error() string { return fmt.Sprintf("%s: %v", e.Hop, e.Err) }

// Unwrap returns the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// hubError tells a hub that could not reach the module from one that failed itself.
func hubError(err error) error {
	e, ok := errors.AsType[*hubclient.Error](err)
	if ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGatewayTimeout) {
		return &OpenError{Hop: HopModule, Err: err}
	}
	return &OpenError{Hop: HopHub, Err: err}
}

// moduleError finds the hop in the contract's error: its target is the endpoint,
// or the camera.
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

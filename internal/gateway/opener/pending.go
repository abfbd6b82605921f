package opener

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/wire/wsconn"
)

// pendingTunnel is a requested tunnel that Open waits for. Opener.mu guards what is not
// constant.
type pendingTunnel struct {
	camera string
	cancel context.CancelCauseFunc // of the opening
	id     string
	token  tunnelopen.Token
	sum    [sha256.Size]byte // the token's hash, which has a constant length for the comparison

	claimed   bool          // ServeHTTP accepts its WebSocket
	abandoned bool          // Open has returned without it
	done      chan struct{} // closed when ServeHTTP has accepted or failed
	conn      *tunnel       // after done; nil if accepting failed
}

func newPending(camera string, cancel context.CancelCauseFunc) *pendingTunnel {
	var id [8]byte
	var token [32]byte // 256 random bits
	_, _ = rand.Read(id[:])
	_, _ = rand.Read(token[:]) // never fails (crypto/rand)
	p := &pendingTunnel{
		camera: camera, cancel: cancel, id: hex.EncodeToString(id[:]), token: tunnelopen.Token(base64.RawURLEncoding.EncodeToString(token[:])),
		done: make(chan struct{}),
	}
	p.sum = sha256.Sum256([]byte(p.token))
	return p
}

func (p *pendingTunnel) request(endpoint string, localPort int) tunnelopen.Request {
	return tunnelopen.Request{RemoteEndpoint: endpoint + PathPrefix + p.id, Token: p.token, LocalPort: localPort}
}

// take returns the tunnel of p. It waits for a running ServeHTTP: the module may have read
// the answer to its handshake before ServeHTTP has returned from writing it.
func (o *Opener) take(ctx context.Context, p *pendingTunnel) (*tunnel, error) {
	o.mu.Lock()
	claimed := p.claimed
	o.mu.Unlock()
	if claimed {
		select {
		case <-p.done:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	over := ctx.Err() != nil // Shutdown ends ctx with mu held
	if !over && p.conn != nil {
		defer o.mu.Unlock()
		o.open[p.conn] = struct{}{}
		o.finish(p)
		return p.conn, nil
	}
	o.mu.Unlock()
	o.abandon(p)
	if over {
		return nil, ended(ctx, failure.Gateway)
	}
	return nil, failure.New(failure.Gateway, reason.TunnelMissing, nil)
}

// abandon ends the opening of p: its token is no longer valid. The tunnel is closed, now or
// by the ServeHTTP that still accepts it, and holds its slot until then.
func (o *Opener) abandon(p *pendingTunnel) {
	o.mu.Lock()
	p.abandoned = true
	delete(o.pending, p.id)
	conn := p.conn
	accepting := p.claimed && !p.isDone()
	if !accepting {
		o.finish(p)
	}
	o.mu.Unlock()
	if conn != nil {
		_ = conn.ws.Close()
	}
}

func (p *pendingTunnel) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// finish ends an opening. The caller holds mu.
func (o *Opener) finish(p *pendingTunnel) {
	delete(o.opening, p)
	o.checkIdle()
}

// accepted is the end of the ServeHTTP that claimed p; ws is nil if accepting failed.
func (o *Opener) accepted(p *pendingTunnel, ws *wsconn.Conn) {
	o.mu.Lock()
	if ws != nil {
		p.conn = &tunnel{ws: ws, o: o, opened: time.Now(), log: o.log.With().Str("camera", p.camera).Logger()}
	}
	close(p.done)
	abandoned := p.abandoned
	o.mu.Unlock()
	if !abandoned {
		return
	}
	if ws != nil {
		_ = ws.Close()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finish(p)
}

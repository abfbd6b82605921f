package edge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// entrance is all that a CONNECT needs, ready before the old connection is ended: a
// fresh token, and a connection with TLS.
type entrance struct {
	login pass
	pipe  *pipe
}

// close gives the entrance up.
func (e *entrance) close() { _ = e.pipe.ready.Close() }

// renewal is when the token should be replaced, by a clock that nobody sets.
func (t times) renewal(life time.Duration) time.Time {
	const spread = 0.1
	part := t.Renew + spread*rand.Float64() //nolint:gosec // G404: jitter, not a secret
	return time.Now().Add(time.Duration(part * float64(life)))
}

// prepare makes the next session's entrance while this one goes on. MQTT cannot
// replace a token in place. Running calls are waited for while there is time: half of
// what the token has left.
func (c *Client) prepare(ctx context.Context, expires time.Time) (*entrance, error) {
	c.calls.awaitIdle(ctx, min(c.t.Quiet, time.Until(expires)/2))
	login, err := c.login.pass(ctx)
	if err != nil {
		return nil, because(reason.HubCredentials, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.Connect)
	defer cancel()
	p := c.pipe(c.way, login)
	conn, err := p.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.way.address, err)
	}
	if err := p.keep(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	p.ready = conn
	return &entrance{login, p}, nil
}

// connection is the pipe's: the one that is there already, or a new one. From
// its return on ctx closes it until keep.
func (p *pipe) connection(ctx context.Context) (net.Conn, error) {
	if p.ready == nil {
		return p.dial(ctx)
	}
	conn := p.ready
	p.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// prepared is how prepare ended.
type prepared struct {
	entrance *entrance
	err      error
}

const (
	unsubscribeTime = time.Second
	// lateTime is for calls that the hub sent before it knew of the unsubscription and
	// that come after its acknowledgement.
	lateTime = 100 * time.Millisecond
)

// unsubscribe ends the calls on a connection that is about to be replaced: the hub
// keeps those that come from now on for the next one, or refuses them, and loses none.
func (l *link) unsubscribe() {
	l.client.Unsubscribe(methodTopic + "#").WaitTimeout(unsubscribeTime)
	<-time.After(lateTime)
}

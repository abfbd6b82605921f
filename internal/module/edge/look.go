package edge

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"rtsptunnel/internal/wire/proxy"
)

// looks are the places where nobody was found. There it costs next to nothing to look
// often, so that the module answers seconds after its hub is back, however long that
// was away. A server that lets in and then fails is never in here: attempts at that go
// by the backoff alone.
type looks struct {
	ways     map[Protocol]place
	workload func(context.Context) error // nil if the workload API answered
	found    *way                        // where somebody listens; the next attempt goes there
}

// place is one way's end. Of one that is not empty it is not known whether the hub
// went or threw this client out; who listens there says nothing, unless nobody did.
type place struct {
	way   way
	empty bool
}

// nobody tells whether err is of a TCP connection that did not come about, at the
// hub, or behind the proxy.
func nobody(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op == "dial"
	}
	e, ok := errors.AsType[*proxy.StatusError](err)
	return ok && e.Status >= http.StatusInternalServerError
}

// note takes how the session at w ended, and whether it worked until then.
func (l *looks) note(w way, worked bool, err error) {
	if l.ways == nil {
		l.ways = make(map[Protocol]place)
	}
	delete(l.ways, w.protocol)
	if worked || nobody(err) {
		l.ways[w.protocol] = place{w, nobody(err)}
	}
}

// take is the way that a look has found, once.
func (l *looks) take() (w way, ok bool) {
	if l.found == nil {
		return way{}, false
	}
	w, l.found = *l.found, nil
	return w, true
}

// rest waits before the next attempt: for so long, or until somebody listens where
// nobody did, which found tells. It fails if ctx ends.
func (c *Client) rest(ctx context.Context, wait time.Duration) (found bool, err error) {
	attempt := time.NewTimer(wait)
	defer attempt.Stop()
	c.ask(ctx, false) // now is the best time to tell a hub that went from one that threw this client out
	for {
		look := time.NewTimer(c.nextLook())
		select {
		case <-ctx.Done():
			look.Stop()
			return false, ctx.Err()
		case <-attempt.C:
			look.Stop()
			return false, nil
		case <-look.C:
		}
		c.state.turned()
		if c.ask(ctx, true) {
			break
		}
	}
	// All modules of a site see at the same time that their hub is back.
	early := time.NewTimer(rand.N(c.t.LookRest)) //nolint:gosec // G404: jitter, not a secret
	defer early.Stop()
	select {
	case <-ctx.Done():
		return true, ctx.Err()
	case <-early.C:
		return true, nil
	}
}

// nextLook is how long to wait for it.
func (c *Client) nextLook() time.Duration {
	for _, p := range c.looks.ways {
		if p.way.via() {
			return c.t.LookVia
		}
	}
	return c.t.Look
}

// ask tells whether somebody listens now where nobody did. Places that are known to
// be empty are left out unless it is their time.
func (c *Client) ask(ctx context.Context, empty bool) bool {
	ctx, cancel := context.WithTimeout(ctx, c.t.LookTime)
	defer cancel()
	if empty && c.looks.workload != nil && c.looks.workload(ctx) == nil {
		return true
	}
	for protocol, p := range c.looks.ways {
		if p.empty && !empty {
			continue
		}
		conn, err := c.pipe(p.way, pass{}).reach(ctx)
		if err != nil {
			c.looks.ways[protocol] = place{p.way, p.empty || nobody(err)}
			continue
		}
		_ = conn.Close()
		if p.empty {
			c.looks.found = &p.way
			return true
		}
	}
	return false
}

// look connects and says nothing.
func look(ctx context.Context, network, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return conn.Close()
}

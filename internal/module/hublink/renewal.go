package hublink

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
)

// renewal prepares the next connection of a session before its token expires. MQTT cannot
// replace a token on a connection. All times use the monotonic clock, which does not jump
// when the device's clock is set.
type renewal struct {
	dialer   *hubconn.Dialer
	route    hubconn.Route
	t        times
	log      zerolog.Logger
	lifetime time.Duration // of the token; 0 if it does not expire

	expires time.Time
	renewAt time.Time // zero for never
	waits   backoff
	running bool
	done    chan prepared
}

// prepared is the result of a preparation.
type prepared struct {
	conn *hubconn.PreparedConn
	err  error
}

func newRenewal(d *hubconn.Dialer, r hubconn.Route, t times, log zerolog.Logger, lifetime time.Duration) *renewal {
	return &renewal{dialer: d, route: r, t: t, log: log, lifetime: lifetime, done: make(chan prepared, 1)}
}

// schedule starts the clock of the token, unless it does not expire.
func (r *renewal) schedule() {
	if r.lifetime == 0 {
		return
	}
	const spread = 0.1
	part := r.t.Renew + spread*rand.Float64() //nolint:gosec // G404: jitter, not a secret
	now := time.Now()
	r.expires, r.renewAt = now.Add(r.lifetime), now.Add(time.Duration(part*float64(r.lifetime)))
}

// start begins a preparation in its own goroutine. Its result comes from done and is given
// to finish; stop waits for it otherwise.
func (r *renewal) start(ctx context.Context) {
	r.running = true
	go func() {
		conn, err := r.prepare(ctx)
		r.done <- prepared{conn, err}
	}()
}

// prepare dials the next connection while the session goes on. It first waits for a moment
// without calls, for at most half of the time that the token has left.
func (r *renewal) prepare(ctx context.Context) (*hubconn.PreparedConn, error) {
	r.dialer.AwaitIdle(ctx, min(r.t.Quiet, time.Until(r.expires)/2))
	credentials, err := r.dialer.Credentials(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.t.Connect)
	defer cancel()
	return r.dialer.Dial(ctx, r.route, credentials)
}

// finish returns the prepared connection. If there is none it schedules the next attempt
// and returns nil: the old connection goes on. The hub ends it at the latest when the token
// expires, and the next session has a new token.
func (r *renewal) finish(p prepared) *hubconn.PreparedConn {
	r.running = false
	if p.err == nil {
		return p.conn
	}
	wait := r.waits.next(min(r.t.FirstWait, r.lifetime/20), r.t.LastWait, r.t.LastWait) //nolint:mnd // a tenth to a fifth of the time left
	r.renewAt = time.Now().Add(wait)
	r.log.Warn().Str("reason", string(reason.Of(p.err))).Str(zerolog.ErrorFieldName, errorText(p.err)).Time("nextAttempt", r.renewAt).
		Msg("token not renewed: the connection keeps the old one until it expires")
	return nil
}

// stop waits for a running preparation, whose context has ended, and closes its connection.
func (r *renewal) stop() {
	if !r.running {
		return
	}
	if p := <-r.done; p.conn != nil {
		p.conn.Close()
	}
}

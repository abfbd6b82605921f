package hublink

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
)

// reporter decides when a session writes reported properties. A zero time means never.
type reporter struct {
	conn    *hubconn.Conn
	t       times
	log     zerolog.Logger
	history *history

	sendAt   time.Time // when patch is sent
	patch    []byte    // reported properties that wait for sendAt; nil if none
	ackBy    time.Time // when they are sent at the latest, because they acknowledge desired properties
	invalid  []byte    // the patch that the hub refuses for good on this connection
	waits    backoff   // after refusals in a row
	refusals int       // in a row
}

// acknowledge sets the deadline of the next report: it acknowledges desired properties that
// changed at that time. The zero time means at once.
func (r *reporter) acknowledge(changed time.Time) {
	if r.ackBy.IsZero() {
		r.ackBy = changed.Add(r.t.Acknowledge)
	}
}

// want schedules patch in place of one that still waits. Nil means that nothing is to be
// reported.
func (r *reporter) want(patch []byte) {
	if bytes.Equal(patch, r.invalid) {
		patch = nil
	}
	r.patch = patch
	if patch == nil {
		r.sendAt, r.ackBy = time.Time{}, time.Time{}
		return
	}
	at := r.history.lastReport.Add(r.t.Report)
	if !r.ackBy.IsZero() && r.ackBy.Before(at) {
		at = r.ackBy
	}
	if r.sendAt.IsZero() || at.Before(r.sendAt) {
		r.sendAt = at
	}
}

// send writes the patch. A refusal does not end the connection, on which methods arrive: the
// patch is sent again after a backoff. A patch that is refused as malformed or too large is
// not sent again. send returns false if the hub did not answer; reading the twin then shows
// whether it still does.
func (r *reporter) send(ctx context.Context) (answered bool) {
	patch := r.patch
	r.history.lastReport, r.ackBy = time.Now(), time.Time{}
	err := r.request(ctx, patch)
	if err == nil {
		r.patch, r.waits, r.refusals = nil, backoff{}, 0
		return true
	}
	if ctx.Err() != nil {
		return true // the session is over
	}
	if errors.Is(err, hubconn.ErrInvalid) {
		r.patch, r.invalid, r.waits, r.refusals = nil, patch, backoff{}, 0
		r.log.Warn().Str("reason", string(reason.HubReport)).Err(err).Int("bytes", len(patch)).
			Msg("reported properties not written, and not sent again until they change or the connection does")
		return true
	}
	r.sendAt = time.Now().Add(r.waits.next(r.t.FirstWait, r.t.LastWait, r.t.LastWait))
	r.refusals++
	if r.refusals&(r.refusals-1) == 0 {
		r.log.Warn().Str("reason", string(reason.HubReport)).Err(err).Int("times", r.refusals).
			Time("nextAttempt", r.sendAt).Msg("reported properties not written")
	}
	return errors.Is(err, hubconn.ErrRefused)
}

func (r *reporter) request(ctx context.Context, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.t.Request)
	defer cancel()
	return r.conn.WriteReported(ctx, patch)
}

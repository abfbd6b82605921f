package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
)

// service is a session from its subscriptions on: it follows the twin, reports, and
// looks after the token. Its zero times are never.
type service struct {
	*Client
	link    *link
	changed hint

	readLast   time.Time // when the twin was read last, and handed over
	readAt     time.Time
	hinted     bool      // readAt is for a change
	changedAt  time.Time // since when there has been something to read; zero if nobody knows of anything
	readWaits  backoff   // after refusals in a row
	noTwin     failures  // since the last twin that was taken
	lastDoc    []byte
	wanted     []byte // reported properties that wait for reportAt; nil if none
	never      []byte // those that the hub will not take, on this connection
	reportAt   time.Time
	ackBy      time.Time // by when they go out, for they answer new desired properties
	reportWait backoff
	refusals   int       // of reported properties, in a row
	expires    time.Time // the token, by a clock that nobody sets
	renewAt    time.Time
	renewWait  backoff
	prepared   chan prepared
	preparing  bool
}

func (c *Client) service(l *link) *service {
	return &service{Client: c, link: l, changed: make(hint, 1), prepared: make(chan prepared, 1)}
}

// serve goes on until the connection or ctx ends, which is an error, or there is a
// better entrance.
func (s *service) serve(ctx context.Context) (next *entrance, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		if s.preparing {
			if p := <-s.prepared; p.entrance != nil {
				p.entrance.close()
			}
		}
	}()
	for {
		s.state.turned()
		turn := time.NewTimer(time.Until(s.earliest()))
		select {
		case <-ctx.Done():
			turn.Stop()
			return nil, context.Cause(ctx)
		case <-s.changed:
			s.hint()
		case <-s.refresh:
			s.lastDoc = nil // which makes the next one new
			s.hint()
		case p := <-s.prepared:
			if s.preparing = false; p.err == nil {
				turn.Stop()
				return p.entrance, nil
			}
			s.notRenewed(p.err)
		case <-turn.C:
		}
		turn.Stop()
		if err := s.do(ctx); err != nil {
			return nil, cause(ctx, err)
		}
	}
}

// earliest is when there is something to do, at least a turn.
func (s *service) earliest() time.Time {
	first := time.Now().Add(s.t.Turn)
	for _, at := range []time.Time{s.readAt, s.reportAt, s.renewAt} {
		if !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// do does what is due.
func (s *service) do(ctx context.Context) error {
	if isDue(&s.readAt) {
		if err := s.read(ctx); err != nil {
			return err
		}
	}
	if isDue(&s.reportAt) {
		s.report(ctx)
	}
	if isDue(&s.renewAt) {
		s.preparing = true
		go func() {
			e, err := s.prepare(ctx, s.expires)
			s.prepared <- prepared{e, err}
		}()
	}
	return nil
}

// isDue tells whether that moment has come, and forgets it then.
func isDue(at *time.Time) bool {
	if at.IsZero() || time.Now().Before(*at) {
		return false
	}
	*at = time.Time{}
	return true
}

// hint makes the twin be read soon.
func (s *service) hint() {
	if s.hinted {
		return
	}
	s.hinted = true
	if s.changedAt.IsZero() {
		s.changedAt = time.Now()
	}
	at := s.readLast.Add(s.t.Read)
	if s.readAt.IsZero() || at.Before(s.readAt) {
		s.readAt = at
	}
}

// read reads the twin and hands it over. A hub that refuses has still answered:
// methods arrive, and the twin is read later. No answer is an error: it also means
// that nobody knows whether methods arrive, whatever pings say.
func (s *service) read(ctx context.Context) error {
	s.hinted = false
	defer func() { s.readLast = time.Now() }()
	doc, err := s.readTwin(ctx, s.link.tr)
	switch {
	case errors.Is(err, errRefused):
		wait := s.readWaits.next(s.t.FirstWait, s.t.LastWait, s.t.LastWait)
		s.readAt = time.Now().Add(wait)
		s.tellTwin(reason.New(reason.HubTwin, err), "twin not read: the last good one stays in force")
		return nil
	case err != nil:
		return err
	}
	s.readWaits = backoff{}
	s.readAt = time.Now().Add(between(s.t.Watch))
	s.take(doc)
	return nil
}

// take hands the twin over if it is believed and new to this session.
func (s *service) take(doc []byte) {
	before, changed := s.belief, s.changedAt
	s.changedAt = time.Time{}
	if bytes.Equal(doc, s.lastDoc) {
		return
	}
	if err := s.belief.take(doc, time.Now(), s.t.Doubt); err != nil {
		s.readAt = time.Now().Add(s.t.Doubt)
		s.tellTwin(err, "twin not believed: the last good one stays in force")
		return
	}
	s.noTwin = failures{}
	if s.ackBy.IsZero() && s.belief.isNew(before) {
		s.ackBy = changed.Add(s.t.Acknowledge) // at once, if nobody knows since when
	}
	s.lastDoc = doc
	s.handed = true
	s.want(s.o.Handler.Twin(doc, Connection{Protocol: s.way.protocol}))
}

// want makes a patch of the reported properties go out in its time, in the place of one
// that still waits; nil is none.
func (s *service) want(patch []byte) {
	if bytes.Equal(patch, s.never) {
		patch = nil
	}
	s.wanted = patch
	if patch == nil {
		s.reportAt, s.ackBy = time.Time{}, time.Time{}
		return
	}
	at := s.sentLast.Add(s.t.Report)
	if !s.ackBy.IsZero() && s.ackBy.Before(at) {
		at = s.ackBy
	}
	if s.reportAt.IsZero() || at.Before(s.reportAt) {
		s.reportAt = at
	}
}

// report writes reported properties. A hub that refuses them is no reason to give
// up a connection on which methods arrive; one that does not answer is asked for the
// twin, which shows whether it still does. What is wrong with the properties
// themselves the same properties do not heal.
func (s *service) report(ctx context.Context) {
	patch := s.wanted
	s.sentLast, s.ackBy = time.Now(), time.Time{}
	err := s.writeReported(ctx, s.link.tr, patch)
	if err == nil {
		s.wanted, s.reportWait, s.refusals = nil, backoff{}, 0
		return
	}
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, errNever) {
		s.wanted, s.never, s.reportWait, s.refusals = nil, patch, backoff{}, 0
		s.o.Log.Warn().Str("reason", string(reason.HubReport)).Err(err).Int("bytes", len(patch)).
			Msg("reported properties not written, and not sent again until they change or the connection does")
		return
	}
	s.reportAt = time.Now().Add(s.reportWait.next(s.t.FirstWait, s.t.LastWait, s.t.LastWait))
	if !errors.Is(err, errRefused) {
		s.readAt = time.Now()
	}
	s.refusals++
	if s.refusals&(s.refusals-1) == 0 {
		s.o.Log.Warn().Str("reason", string(reason.HubReport)).Err(err).Int("times", s.refusals).
			Time("nextAttempt", s.reportAt).Msg("reported properties not written")
	}
}

// notRenewed lets the old connection live on. At the latest the hub ends it when the
// token expires, and the next session has a new one.
func (s *service) notRenewed(err error) {
	wait := s.renewWait.next(min(s.t.FirstWait, s.o.TokenLifetime/20), s.t.LastWait, s.t.LastWait) //nolint:mnd // a tenth to a fifth of what is left
	s.renewAt = time.Now().Add(wait)
	s.o.Log.Warn().Str("reason", string(reason.Of(err))).Str(zerolog.ErrorFieldName, words(err)).Time("nextAttempt", s.renewAt).
		Msg("token not renewed: the connection goes on with the old one")
}

var (
	// errRefused is an answer of the hub that is not a success.
	errRefused = errors.New("the hub refused")
	// errNever is one that the same request will get again: malformed, or too large.
	errNever = fmt.Errorf("%w for good", errRefused)
)

// refused recognises such an answer, of which the library makes words alone.
func refused(err error) error {
	var status int
	if err == nil {
		return nil
	}
	if n, _ := fmt.Sscanf(err.Error(), "request failed with %d response code", &status); n != 1 {
		return err
	}
	if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge {
		return fmt.Errorf("%w: status %d", errNever, status)
	}
	return fmt.Errorf("%w: status %d", errRefused, status)
}

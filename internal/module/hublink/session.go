package hublink

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
)

var errNoSubscription = reason.New(reason.HubSubscription, errors.New("the hub does not acknowledge the subscriptions"))

// history is what one session leaves to the next.
type history struct {
	guard      staleTwinGuard
	delivered  bool      // the handler has got a twin
	lastReport time.Time // when reported properties were sent last
}

// session is one connection in use: it subscribes, follows the twin, reports, and renews
// the token. One goroutine runs all of it, except for the preparation of a renewal.
type session struct {
	conn    *hubconn.Conn
	t       times
	state   *state
	refresh signal // set by Link.Refresh
	changed signal // set when the hub says that the twin changed
	history *history
	apply   func(twin []byte) (reported []byte) // Handler.Twin

	subscribing atomic.Pointer[time.Timer] // of establish; nil afterwards

	twins   twinReader
	reports reporter
	renewal *renewal
}

// establish subscribes and reads the twin, which shows that the session works. life ends
// with ctx, or if the hub does not answer in time.
func (s *session) establish(ctx, life context.Context, end context.CancelCauseFunc) error {
	// The library waits for an acknowledgement for as long as the context lives.
	timeout := time.AfterFunc(s.t.Subscribe, func() { end(errNoSubscription) })
	defer timeout.Stop()
	s.subscribing.Store(timeout)
	defer s.subscribing.Store(nil)
	stop := context.AfterFunc(ctx, func() { end(errShuttingDown) })
	defer stop()
	if err := s.subscribe(life); err != nil {
		return cause(life, err)
	}
	if !timeout.Stop() || !stop() {
		return context.Cause(life)
	}
	return nil
}

// receiving notes that a twin arrives that is too large to be kept. The timeouts for a hub
// that does not answer begin anew, and the loop counts as turning.
func (s *session) receiving() {
	s.state.turned()
	s.state.progress()
	if timeout := s.subscribing.Load(); timeout != nil && timeout.Stop() {
		timeout.Reset(s.t.Subscribe)
	}
}

// subscribe subscribes to methods first, so that callers wait as short as possible. Before
// the first twin of the process it comes after that: a call would find no cameras. The
// last step is a twin in any case: subscriptions that were acknowledged and then carried
// nothing have been seen.
func (s *session) subscribe(life context.Context) error {
	steps := []func(context.Context) error{s.conn.SubscribeMethods, s.conn.SubscribeTwin, s.read}
	if !s.history.delivered {
		steps = []func(context.Context) error{s.conn.SubscribeTwin, s.readFirst, s.conn.SubscribeMethods, s.read}
	}
	for _, step := range steps {
		if err := step(life); err != nil {
			return err
		}
	}
	return nil
}

// readFirst reads the very first twin, without which there is nothing to serve. A refusal
// is an error.
func (s *session) readFirst(life context.Context) error {
	u, err := s.twins.readFirst(life)
	if err != nil {
		return err
	}
	s.deliver(u)
	return nil
}

// read reads the twin. A refusal is not an error.
func (s *session) read(ctx context.Context) error {
	u, err := s.twins.read(ctx)
	if err != nil {
		return err
	}
	s.deliver(u)
	return nil
}

// deliver passes a new twin to the handler and its result to the reporter.
func (s *session) deliver(u twinUpdate) {
	if u.doc == nil {
		return
	}
	if u.newVersion {
		s.reports.acknowledge(u.changed)
	}
	s.history.delivered = true
	s.reports.want(s.apply(u.doc))
}

// follow serves until the session or ctx ends. Requests that run when ctx ends are
// canceled, while life still carries the answers to methods.
func (s *session) follow(ctx, life context.Context) (*hubconn.PreparedConn, error) {
	request, cancel := context.WithCancelCause(life)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(errShuttingDown) })
	defer stop()
	s.renewal.schedule()
	return s.serve(request)
}

// serve is the session's loop. It ends with an error when the connection or ctx ends, and
// with the next connection when a renewal has prepared one.
func (s *session) serve(ctx context.Context) (next *hubconn.PreparedConn, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		s.renewal.stop()
	}()
	for {
		s.state.turned()
		turn := time.NewTimer(time.Until(s.earliest()))
		select {
		case <-ctx.Done():
			turn.Stop()
			return nil, context.Cause(ctx)
		case <-s.changed:
			s.twins.hint()
		case <-s.refresh:
			s.twins.forget()
			s.twins.hint()
		case p := <-s.renewal.done:
			if conn := s.renewal.finish(p); conn != nil {
				turn.Stop()
				return conn, nil
			}
		case <-turn.C:
		}
		turn.Stop()
		if err := s.do(ctx); err != nil {
			return nil, cause(ctx, err)
		}
	}
}

// earliest is the time of the next thing to do, or of the next turn without one.
func (s *session) earliest() time.Time {
	first := time.Now().Add(s.t.Turn)
	for _, at := range []time.Time{s.twins.readAt, s.reports.sendAt, s.renewal.renewAt} {
		if !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// do does everything that is due.
func (s *session) do(ctx context.Context) error {
	if isDue(&s.twins.readAt) {
		if err := s.read(ctx); err != nil {
			return err
		}
	}
	if isDue(&s.reports.sendAt) && !s.reports.send(ctx) {
		s.twins.readAt = time.Now()
	}
	if isDue(&s.renewal.renewAt) {
		s.renewal.start(ctx)
	}
	return nil
}

// isDue tells whether that time has come, and then resets it. The zero time is never due.
func isDue(at *time.Time) bool {
	if at.IsZero() || time.Now().Before(*at) {
		return false
	}
	*at = time.Time{}
	return true
}

// cause returns the reason why ctx ended, if it has, and else err, which may be a
// consequence of that.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

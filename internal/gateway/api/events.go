package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

const (
	commentEvery  = 20 * time.Second // keeps proxies from closing a silent connection
	eventStall    = 10 * time.Second // for a client to take a piece
	eventsPassed  = 30 * time.Second // for a client to take all events that wait for it
	eventsInPiece = 32 << 10         // bytes of events that are written at once
)

// streamEvents answers GET /api/events with server-sent events (WHATWG HTML, 9.2): an event
// "camera" for each camera that the principal covers, with the JSON of a list; then "snapshot";
// then "camera" for each change and "removed" for each camera that is gone. A client that
// connects again begins anew, so there are no ids.
func (a *API) streamEvents(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := p.May(access.Watch); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // some proxies would collect events
	if r.Method == http.MethodHead {
		return nil
	}
	ctx := r.Context()
	if !p.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, p.Expires, failure.New(failure.Viewer, reason.AccessExpired, nil))
		defer cancel()
	}
	run, leave, err := a.feed.join(ctx, p, fromOf(w))
	if err != nil {
		return err
	}
	defer leave()
	s := &subscriber{w: w, control: http.NewResponseController(w), principal: p, current: a.Access.Current, stall: a.stall}
	s.run(ctx, run)
	return nil
}

// subscriber writes events to one client. It has no queue: its place in the feed is a number,
// and what it did not take meanwhile are the newest events after it.
type subscriber struct {
	w         http.ResponseWriter
	control   *http.ResponseController
	principal access.Principal
	current   func(access.Principal) (access.Principal, error)
	stall     time.Duration // for the client to take a piece

	seq uint64
}

// run writes until ctx is done, the principal has other rights or none, or the client does not
// read in time.
func (s *subscriber) run(ctx context.Context, feed *feedRun) {
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection's next request has its own
	// clients that lost a gateway do not come back together
	if s.write(fmt.Appendf(nil, "retry: %d\n\n", 2000+rand.IntN(4000))) != nil { //nolint:gosec // spreads requests, no secret
		return
	}
	select {
	case <-feed.ready:
	case <-ctx.Done():
		return
	}
	ticker := time.NewTicker(commentEvery)
	defer ticker.Stop()
	for first := true; ; first = false {
		events, next := feed.after(s.seq)
		err := s.pass(events)
		if err == nil && first {
			err = s.write([]byte("event: snapshot\ndata: {}\n\n"))
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			s.end(context.Cause(ctx))
			return
		case <-next:
		case <-ticker.C:
			if s.write([]byte(":\n\n")) != nil {
				return
			}
		}
		if err := s.review(); err != nil {
			s.end(err)
			return
		}
	}
}

// review returns an error if the principal has other rights than at the beginning: the client
// connects again, and gets the cameras that it covers now.
func (s *subscriber) review() error {
	now, err := s.current(s.principal)
	switch {
	case err != nil:
		return err
	case now.Role != s.principal.Role || now.Camera != s.principal.Camera || !slices.Equal(now.Cameras, s.principal.Cameras):
		return errRights
	}
	return nil
}

var errRights = errors.New("the rights have changed")

// end writes why the events end, if a failure is the cause.
func (s *subscriber) end(cause error) {
	f := failure.Of(cause)
	if f.Hop != failure.Viewer {
		return // the client left or comes back, or the gateway shuts down
	}
	if b, err := json.Marshal(f); err == nil {
		_ = s.write(slices.Concat([]byte("event: failure\ndata: "), b, []byte("\n\n"))) // it ends anyway
	}
}

// pass writes events in pieces.
func (s *subscriber) pass(events []*event) error {
	until := time.Now().Add(eventsPassed)
	var piece bytes.Buffer
	for _, e := range events {
		s.seq = e.seq
		if s.principal.Grant(access.Watch, e.camera) != nil {
			continue
		}
		kind := "camera"
		if !e.removed.IsZero() {
			kind = "removed"
		}
		fmt.Fprintf(&piece, "event: %s\ndata: %s\n\n", kind, e.data)
		if piece.Len() < eventsInPiece {
			continue
		}
		if err := s.write(piece.Bytes()); err != nil {
			return err
		}
		if time.Now().After(until) {
			return failure.New(failure.Viewer, reason.ViewerStalled, nil)
		}
		piece.Reset()
	}
	return s.write(piece.Bytes())
}

// write writes and flushes one piece, or fails if the client does not take it in time.
func (s *subscriber) write(piece []byte) error {
	if len(piece) == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(s.stall)); err != nil {
		return err
	}
	if _, err := s.w.Write(piece); err != nil {
		return err
	}
	return s.control.Flush()
}

// Review makes the clients that read events look whether their tokens are still valid. The
// caller calls it after access has changed.
func (a *API) Review() { a.feed.wake() }

// ended tells that a share or logins were ended.
func (a *API) ended() {
	a.Review()
	if a.Ended != nil {
		a.Ended()
	}
}

// EventClients returns how many clients read events.
func (a *API) EventClients() int {
	a.feed.mu.Lock()
	defer a.feed.mu.Unlock()
	return a.feed.subscribers
}

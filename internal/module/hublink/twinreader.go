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

// twinReader decides when a session reads the twin, and which documents are delivered. A
// zero time means never.
type twinReader struct {
	conn     *hubconn.Conn
	t        times
	log      zerolog.Logger
	protocol hubconn.Protocol
	progress func() // called when the hub has answered
	history  *history
	// receiving is called for each part of a twin that is too large to be kept, in another
	// goroutine.
	receiving func()

	readAt   time.Time // the next read
	lastRead time.Time
	hinted   bool      // readAt is for a change
	changed  time.Time // since when there has been a change to read; zero if none is known
	waits    backoff   // after refusals in a row
	failures failures  // since the last twin that was accepted
	last     []byte    // the document that was delivered last in this session
}

// twinUpdate is a twin to deliver.
type twinUpdate struct {
	doc        []byte    // nil if there is none to deliver
	newVersion bool      // its desired properties are of a new version
	changed    time.Time // when they changed; zero if that is not known
}

// hint schedules a read for a change, as soon as the pace allows.
func (r *twinReader) hint() {
	if r.hinted {
		return
	}
	r.hinted = true
	if r.changed.IsZero() {
		r.changed = time.Now()
	}
	at := r.lastRead.Add(r.t.Read)
	if r.readAt.IsZero() || at.Before(r.readAt) {
		r.readAt = at
	}
}

// forget makes the next document count as new.
func (r *twinReader) forget() { r.last = nil }

// read reads the twin and schedules the next read. A hub that refuses has still answered,
// and methods arrive, so the twin is read later and there is no error. No answer is an
// error: methods may not arrive either, whatever the pings say.
func (r *twinReader) read(ctx context.Context) (twinUpdate, error) {
	r.hinted = false
	defer func() { r.lastRead = time.Now() }()
	doc, err := r.request(ctx)
	switch {
	case errors.Is(err, hubconn.ErrRefused):
		wait := r.waits.next(r.t.FirstWait, r.t.LastWait, r.t.LastWait)
		r.readAt = time.Now().Add(wait)
		r.logFailure(reason.New(reason.HubTwin, err), "twin not read: the last good one stays in force")
		return twinUpdate{}, nil
	case err != nil:
		return twinUpdate{}, err
	}
	r.waits = backoff{}
	r.readAt = time.Now().Add(between(r.t.Watch))
	return r.accept(doc), nil
}

// readFirst is read for the very first twin: a refusal is an error, and no read is scheduled.
func (r *twinReader) readFirst(ctx context.Context) (twinUpdate, error) {
	doc, err := r.request(ctx)
	if err != nil {
		return twinUpdate{}, err
	}
	return r.accept(doc), nil
}

func (r *twinReader) request(ctx context.Context) ([]byte, error) {
	doc, err := r.conn.ReadTwin(ctx, r.t.Request, r.receiving)
	if err == nil || errors.Is(err, hubconn.ErrRefused) {
		r.progress()
	}
	return doc, err
}

// accept returns doc as an update if it is new to this session and not stale. A stale one
// is read again soon.
func (r *twinReader) accept(doc []byte) twinUpdate {
	guard := &r.history.guard
	before, changed := *guard, r.changed
	r.changed = time.Time{}
	if bytes.Equal(doc, r.last) {
		return twinUpdate{}
	}
	if err := guard.check(doc, time.Now(), r.t.Confirm); err != nil {
		r.readAt = time.Now().Add(r.t.Confirm)
		r.logFailure(err, "stale twin not applied: the last good one stays in force")
		return twinUpdate{}
	}
	r.failures = failures{}
	r.last = doc
	return twinUpdate{doc: doc, newVersion: guard.isNew(before), changed: changed}
}

// logFailure logs why a session has no new twin. Most repetitions are at debug level: a
// hub may refuse for months.
func (r *twinReader) logFailure(err error, text string) {
	k := failureKind{reason.Of(err), r.protocol}
	times, level := r.failures.add(k)
	r.log.WithLevel(level).Str("reason", string(k.code)).Err(err).Int("times", times).Time("nextReading", r.readAt).Msg(text)
}

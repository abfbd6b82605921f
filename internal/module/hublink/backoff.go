package hublink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// backoff is the wait after each failure in a row: a random time up to a limit that
// doubles. The jitter keeps a fleet that lost its hub from coming back all at once. Its
// zero value is the state before the first failure.
type backoff struct{ limit time.Duration }

// next returns the next wait. The limit starts at first and grows up to last; the wait is
// also below most.
func (b *backoff) next(first, last, most time.Duration) time.Duration {
	b.limit = min(max(first, 2*b.limit), last)
	return rand.N(min(b.limit, most)) //nolint:gosec // G404: jitter, not a secret
}

// between returns a random time from half of most to most.
func between(most time.Duration) time.Duration {
	return most/2 + rand.N(most/2) //nolint:gosec // G404: jitter, not a secret
}

// shortSessions is how many short sessions in a row are worth a note in the log.
const shortSessions = 3

// retries computes the wait between two attempts to connect.
type retries struct {
	waits backoff
	since time.Time // when the last session began to serve; zero if it never did
	short int       // sessions in a row that served and ended soon
}

// connecting begins an attempt.
func (r *retries) connecting() { r.since = time.Time{} }

// serving notes that the attempt has become a session that serves.
func (r *retries) serving() { r.since = time.Now() }

// served tells whether the last session began to serve.
func (r *retries) served() bool { return !r.since.IsZero() }

// settle resets the backoff after a session that served for long enough.
func (r *retries) settle(t times) {
	if r.served() && time.Since(r.since) >= t.Healthy {
		r.waits, r.short = backoff{}, 0
	}
}

// next returns the wait after a session that ended with err, and err for the log.
func (r *retries) next(t times, err error) (time.Duration, error) {
	most := t.LastWait
	if r.served() {
		r.short++
	}
	// Another client with this identity may have ended the session at any moment.
	if r.served() || reason.Of(err) == reason.HubLost {
		most = t.LostWait
	}
	r.settle(t)
	wait := r.waits.next(t.FirstWait, t.LastWait, most)
	if r.served() && r.short >= shortSessions {
		err = fmt.Errorf("%w (sessions keep ending soon after they begin: is there another client with this identity?)", err)
	}
	return wait, err
}

var errShuttingDown = reason.New(reason.ShuttingDown, errors.New("the module is shutting down"))

package edge

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait after each failure in a row: a random time up to a
// limit that doubles, so that a fleet that lost its hub does not come back at once.
// Its zero value stands before the first failure.
type backoff struct{ limit time.Duration }

// next is the next wait, which is no longer than most either.
func (b *backoff) next(first, last, most time.Duration) time.Duration {
	b.limit = min(max(first, 2*b.limit), last)
	return rand.N(min(b.limit, most)) //nolint:gosec // G404: jitter, not a secret
}

// between is a random time from half of most to most.
func between(most time.Duration) time.Duration {
	return most/2 + rand.N(most/2) //nolint:gosec // G404: jitter, not a secret
}

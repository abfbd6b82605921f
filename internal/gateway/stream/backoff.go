package stream

import (
	"math/rand/v2"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// The pauses between openings, with full jitter: a random part of a limit that doubles with
// each failure in a row.
const (
	firstPause  = 500 * time.Millisecond
	idlePause   = 10 * time.Second // the longest limit without readers
	reopenPause = 30 * time.Second // the longest limit with readers

	// steady is how long a session is live before its failure begins a new row: a camera
	// that ends each session soon is not opened twice a second.
	steady = 10 * time.Second
	// longestRetryAt bounds the time that a failure asks for, such as a hub's Retry-After.
	longestRetryAt = time.Minute
)

// pause returns how long to wait after the failure number tries of a row.
func pause(tries int, longest time.Duration) time.Duration {
	limit := longest
	if shift := max(tries-1, 0); shift < 10 {
		limit = min(firstPause<<shift, longest)
	}
	return 1 + rand.N(limit) //nolint:gosec // G404: jitter, not a secret
}

// starting reports whether the camera may be starting: for some seconds, it answers that it
// has no such stream.
func starting(f *failure.Failure, tries int) bool {
	const often = 5 // pauses of 15 s together, at most
	return f.Reason == reason.RTSPNotFound && tries <= often
}

// lastingPause returns how long to wait after a failure that waiting alone does not heal.
func lastingPause() time.Duration {
	return reopenPause/2 + rand.N(reopenPause/2) //nolint:gosec // G404: jitter, not a secret
}

// retryAt returns when the stream opens again after a failure. It respects a later time that
// the failure has.
func retryAt(f *failure.Failure, wait time.Duration) time.Time {
	now := time.Now()
	at := now.Add(wait)
	if f.RetryAt.After(at) {
		at = f.RetryAt
	}
	if latest := now.Add(longestRetryAt); at.After(latest) {
		at = latest
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

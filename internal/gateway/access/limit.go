package access

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// addressFailures and accountFailures are the failed logins a minute that an address and
	// an account name have.
	addressFailures = 10
	accountFailures = 30

	// window is the time in which an unused limiter is full again.
	window = time.Minute
	// maxKeys bounds the limiters of a generation: two generations take about 1 MB.
	maxKeys = 4096
)

// failures counts failed logins by address or by name. Strangers choose the keys, so their
// number is bounded: limiters live in two generations. A limiter moves to the young one when
// it is used. When the young generation is full or a window old, the old one is dropped. A
// limiter that is dropped by age was full again, so dropping it changes nothing. One that is
// dropped early gives its key a few more failures, which a valid token does not need and a
// guess does not profit from.
type failures struct {
	perMinute int
	seed      maphash.Seed

	mu         sync.Mutex
	began      time.Time // of the young generation
	young, old map[uint64]*rate.Limiter
}

func newFailures(perMinute int) *failures {
	return &failures{perMinute: perMinute, seed: maphash.MakeSeed(), young: make(map[uint64]*rate.Limiter)}
}

// count counts one failure of a key. It returns when the next one is within the limit, or the
// zero time if this one is.
func (f *failures) count(key string, now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	limiter := f.limiter(maphash.String(f.seed, key), now)
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait <= 0 {
		return time.Time{}
	}
	reservation.CancelAt(now)
	return now.Add(wait)
}

// limiter returns the limiter of a key, from the young generation. The caller holds mu.
func (f *failures) limiter(key uint64, now time.Time) *rate.Limiter {
	if len(f.young) >= maxKeys || now.Sub(f.began) >= window {
		if now.Sub(f.began) >= 2*window {
			f.young = nil // no key of it was used within the window
		}
		f.began, f.old, f.young = now, f.young, make(map[uint64]*rate.Limiter)
	}
	limiter := f.young[key]
	if limiter == nil {
		limiter = f.old[key]
	}
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Every(window/time.Duration(f.perMinute)), f.perMinute)
	}
	f.young[key] = limiter
	return limiter
}

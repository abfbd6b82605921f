// Package throttle limits how often a hub does what it is asked for, by the
// numbers Microsoft gives for an IoT Hub of tier S1 with one unit ("IoT Hub
// quotas and throttling", section "Operation throttles"). The limits are the
// hub's, whichever device or service asks.
//
// Simpler than IoT Hub: what comes too fast is refused at once. IoT Hub delays
// it first, and refuses what has waited too long ("Traffic shaping"); how long
// that is, it does not say.
package throttle

import (
	"time"

	"golang.org/x/time/rate"
)

// Kind is one kind of operation, with a limit of its own.
type Kind int

// The kinds there are.
const (
	Connections Kind = iota // MQTT connections, from their CONNECT
	TwinReads               // by devices and services
	TwinUpdates             // by devices and services
	Methods                 // metered, see MethodCost
	Registry                // create, get, list, update, delete, count
	Queries
	Configurations // create, list, update, delete, test
)

// Rate is a token bucket: Burst operations at once, and PerSecond more each
// second.
type Rate struct {
	PerSecond float64
	Burst     int
}

// S1 returns the limits of tier S1 with one unit. Those that are given for a
// second allow a second's worth at once, those for a minute a minute's.
func S1() map[Kind]Rate {
	return map[Kind]Rate{
		Connections: {100, 100},
		TwinReads:   {100, 100},
		TwinUpdates: {50, 50},
		Methods:     {160 / meterKB, 160 / meterKB}, // 160 KB a second
		Registry:    {100 / 60.0, 100},
		Queries:     {20 / 60.0, 20},

		Configurations: {20 / 60.0, 20},
	}
}

// meterKB is the least a method call counts for, and the step it counts in.
const meterKB = 4

// MethodCost is how many operations of kind Methods a call of so many bytes
// is.
func MethodCost(bytes int64) int {
	const meter = meterKB * 1024
	return int(max(1, (bytes+meter-1)/meter))
}

// Limits count operations. All methods are safe for concurrent use. A nil
// *Limits limits nothing.
type Limits struct {
	limiters map[Kind]*rate.Limiter
}

// New returns limits with full buckets. Kinds without a rate are not limited.
func New(rates map[Kind]Rate) *Limits {
	l := &Limits{limiters: make(map[Kind]*rate.Limiter)}
	for kind, r := range rates {
		l.limiters[kind] = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
	}
	return l
}

// Take counts cost operations of a kind, if they are within the limit. If not,
// they do not count, and retryAfter is when they would be.
func (l *Limits) Take(kind Kind, cost int) (retryAfter time.Duration, ok bool) {
	if l == nil || l.limiters[kind] == nil {
		return 0, true
	}
	limiter := l.limiters[kind]
	now := time.Now()
	reservation := limiter.ReserveN(now, min(cost, limiter.Burst())) // or what costs more would never be allowed
	if retryAfter = reservation.DelayFrom(now); retryAfter > 0 {
		reservation.CancelAt(now)
		return retryAfter, false
	}
	return 0, true
}

// Package throttle limits the rate of a hub's operations. It has the limits of an IoT Hub
// of tier S1 with one unit (Microsoft, "IoT Hub quotas and throttling", section "Operation
// throttles"). The limits apply to the hub as a whole, across all devices and services.
//
// It is simpler than IoT Hub: an operation above the limit is refused at once. IoT Hub
// delays it first and refuses it after some time ("Traffic shaping"); the documentation
// does not give that time.
package throttle

import (
	"time"

	"golang.org/x/time/rate"
)

// Kind is a kind of operation. Each kind has its own limit.
type Kind int

// The kinds of operations.
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

// S1 returns the limits of tier S1 with one unit. The burst is one second's worth of a
// limit per second, and one minute's worth of a limit per minute.
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

// meterKB is the smallest size that a method call counts for, and the step, in KB.
const meterKB = 4

// MethodCost returns how many operations of kind Methods a call of this many bytes
// counts as.
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

// Take counts cost operations of a kind, if they are within the limit. Otherwise it
// counts nothing, and retryAfter is the time until they would be within the limit. A
// cost above the burst counts as the burst.
func (l *Limits) Take(kind Kind, cost int) (retryAfter time.Duration, ok bool) {
	if l == nil || l.limiters[kind] == nil {
		return 0, true
	}
	limiter := l.limiters[kind]
	now := time.Now()
	reservation := limiter.ReserveN(now, min(cost, limiter.Burst())) // a larger cost would never be allowed
	if retryAfter = reservation.DelayFrom(now); retryAfter > 0 {
		reservation.CancelAt(now)
		return retryAfter, false
	}
	return 0, true
}

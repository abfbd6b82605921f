package hublink

import "time"

// times are the timeouts and intervals. Tests have shorter ones.
type times struct {
	FirstWait time.Duration // the limit of the first wait between two attempts; it doubles
	LastWait  time.Duration // the highest limit
	LostWait  time.Duration // the highest limit after a connection that was lost
	Healthy   time.Duration // a session that served for this long resets the backoff

	Probe        time.Duration // between two probes of an address without a listener
	ProbeProxied time.Duration // the same through a proxy, which logs them
	ProbeTimeout time.Duration // for all probes at one time
	ProbeJitter  time.Duration // at most, from a probe that found a listener to the attempt

	Connect   time.Duration // from dialing to CONNACK
	Request   time.Duration // for each twin request
	Subscribe time.Duration // from CONNACK until methods are answered
	Turn      time.Duration // the session's loop turns at least once in it

	Confirm time.Duration // until a stale twin is read again
	Watch   time.Duration // the twin is read again after half of it to all of it

	// Read and Report are the least intervals between two reads of a twin that keeps
	// changing, and between two reports. The hub's limits are for all its devices together.
	Read, Report time.Duration
	// Acknowledge is from a change of the desired properties to the report of it, whatever
	// was sent before. It leaves a tenth of the pace for the request.
	Acknowledge time.Duration

	Renew float64       // part of its life after which a token is replaced; up to 0.1 is added
	Quiet time.Duration // that a renewal waits for a moment without calls
}

// usualTimes are the times outside of tests; pace is Options.ReportPace.
//
// LostWait is below LastWait because a second client with the same identity makes the hub
// close this connection. When that client is gone, this one reconnects within LostWait.
func usualTimes(pace time.Duration) times {
	return times{
		FirstWait: time.Second, LastWait: time.Minute, LostWait: 30 * time.Second, Healthy: time.Minute,
		Probe: time.Second, ProbeProxied: 3 * time.Second, ProbeTimeout: 2 * time.Second, ProbeJitter: 500 * time.Millisecond,
		Connect: 15 * time.Second, Request: 30 * time.Second, Subscribe: time.Minute, Turn: 10 * time.Second,
		Confirm: 10 * time.Second, Watch: 5 * time.Minute,
		Read: pace / 10, Report: pace, Acknowledge: pace / 10 * 9, Renew: 0.8, Quiet: 25 * time.Second,
	}
}

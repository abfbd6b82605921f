package edge

import "time"

// times are how long things take at most, and how far apart they are. Tests have
// shorter ones.
type times struct {
	FirstWait time.Duration // the limit of the first wait between two attempts; it doubles
	LastWait  time.Duration // the highest limit
	LostWait  time.Duration // the highest limit after a connection that was lost
	Healthy   time.Duration // a session that worked for so long starts the waits anew

	Look     time.Duration // between two looks at an address where nobody listened
	LookVia  time.Duration // the same through a proxy, which has a log
	LookTime time.Duration // for one look
	LookRest time.Duration // at most, from a look that found somebody to the attempt

	Connect   time.Duration // from dialling to CONNACK
	Request   time.Duration // for each twin request
	Subscribe time.Duration // from CONNACK until methods are answered
	Turn      time.Duration // after which State.LastTurn moves on at the latest, if nothing happens

	Doubt time.Duration // until a twin that is not believed is read again
	Watch time.Duration // half of it to all of it after one reading of the twin comes the next

	Repeat time.Duration // that an answer is kept for a call that is delivered again

	// How often a twin that does not come to rest is read, and reported properties are
	// sent. The hub's limits are for all its devices together.
	Read, Report time.Duration
	// Acknowledge is from a change of the desired properties to the report of it, whatever
	// was sent before; it leaves a tenth of the time that this may take.
	Acknowledge time.Duration

	Renew float64       // part of its life after which a token is replaced; up to a tenth of its life is added
	Quiet time.Duration // that a planned reconnect waits for a moment without calls
}

// The limit after a connection that was lost is lower than after any other failure: who
// was thrown out by a second client of this identity is back soon after that is gone.
//
// The pace is that of Options.
func usualTimes(pace time.Duration) times {
	return times{
		FirstWait: time.Second, LastWait: time.Minute, LostWait: 30 * time.Second, Healthy: time.Minute,
		Look: time.Second, LookVia: 3 * time.Second, LookTime: 2 * time.Second, LookRest: 500 * time.Millisecond,
		Connect: 15 * time.Second, Request: 30 * time.Second, Subscribe: time.Minute, Turn: 10 * time.Second,
		Doubt: 10 * time.Second, Watch: 5 * time.Minute, Repeat: time.Minute,
		Read: pace / 10, Report: pace, Acknowledge: pace / 10 * 9, Renew: 0.8, Quiet: 25 * time.Second,
	}
}

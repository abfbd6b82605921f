package rtspout

import "time"

// times are how long players and strangers may take. Tests have shorter ones.
type times struct {
	request time.Duration // to send a request, before a session exists
	login   time.Duration // to authenticate, since the connection was opened
	session time.Duration // between requests of a session that does not play
	hold    time.Duration // from DESCRIBE or PAUSE to PLAY, before the stream is released
	stall   time.Duration // to take the bytes of one write
	report  time.Duration // between RTCP sender reports of a track
}

var defaultTimes = times{
	request: 10 * time.Second,
	login:   30 * time.Second,
	session: 60 * time.Second,
	hold:    10 * time.Second,
	stall:   10 * time.Second,
	report:  5 * time.Second,
}

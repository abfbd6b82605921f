package rtspws

import "time"

// SetTimes replaces the times between pings, and without a sign of the player. It is called
// before ServeLive.
func (o *Output) SetTimes(ping, silence time.Duration) { o.ping, o.silence = ping, silence }

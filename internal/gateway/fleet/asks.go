package fleet

import "time"

// asks are the unknown names for which the hubs were read. A player that asks for a camera
// that does not exist asks again for ever: reads for its name become as rare as the regular
// ones, since hubs throttle queries.
type asks map[string]ask

// ask is the last read for a name, and the least time to the next one.
type ask struct {
	at    time.Time
	pause time.Duration
}

// maxAsks bounds the names. Beyond it, all are forgotten.
const maxAsks = 1000

// again reports whether the hubs are to be read for a name, and notes it. The time between two
// reads doubles from least to longest.
func (a *asks) again(name string, now time.Time, least, longest time.Duration) bool {
	last, known := (*a)[name]
	switch passed := now.Sub(last.at); {
	case !known, passed > 2*longest: // it is not asked for all the time
		last.pause = least
	case passed < last.pause:
		return false
	default:
		last.pause = min(2*last.pause, longest)
	}
	if *a == nil || len(*a) >= maxAsks {
		*a = make(asks)
	}
	(*a)[name] = ask{now, last.pause}
	return true
}

// Package health is how a program is seen from outside: /livez and /readyz, the
// listener that serves them whatever happens to its port, and the command that asks.
//
// /livez asks whether the program's event loops turn. What the world does to it is
// no part of that: a program without its hub is alive. /readyz asks whether it does
// what it is there for, and if not, what is missing since when.
//
// The package does not know what a loop does nor what may be missing. A line belongs
// here when it is about asking, answering, or the port.
package health

import "time"

// Loop is an event loop of the program.
type Loop struct {
	Name   string
	Last   time.Time     // when it turned last
	Within time.Duration // it turns at least as often if it is well
}

// Missing is something without which the program does not do what it is there for.
type Missing struct {
	Part   string    `json:"part"`
	Reason string    `json:"reason"` // a reason code
	Text   string    `json:"text"`   // what the code means
	Since  time.Time `json:"since"`
}

// Program is who is asked. Both may be called at any time, by anybody, and must not
// wait for what they tell about.
type Program interface {
	Loops() []Loop
	Missing() []Missing // none if the program is ready
}

// Stuck are the loops that do not turn any more.
func Stuck(p Program) []Loop {
	var stuck []Loop
	for _, l := range p.Loops() {
		if time.Since(l.Last) > l.Within {
			stuck = append(stuck, l)
		}
	}
	return stuck
}

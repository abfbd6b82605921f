// Package health serves a program's health endpoints, /livez and /readyz, and queries
// them. Its listener retries while its address is in use.
//
// /livez tells whether the program's event loops run. External failures do not change it:
// a program without its hub is alive. /readyz tells whether the program does its work,
// and if not, what is missing and since when.
//
// The package does not know what a loop does or what may be missing. Code belongs here if
// it concerns the endpoints, the query or the listener.
package health

import "time"

// Loop is an event loop of the program.
type Loop struct {
	Name   string
	Last   time.Time     // start of its last iteration
	Within time.Duration // the maximum time between two iterations
}

// Missing is something that the program needs to do its work, and does not have.
type Missing struct {
	Part   string    `json:"part"`
	Reason string    `json:"reason"` // a reason code
	Text   string    `json:"text"`   // the text of the code
	Since  time.Time `json:"since"`
}

// Program is the program whose health is served. Its methods are called concurrently and
// must not block on the parts that they report about.
type Program interface {
	Loops() []Loop
	Missing() []Missing // none if the program is ready
}

// Noter may be a Program, too. Its notes are in the answer of /readyz and do not change its
// status: the program does its work, and an operator should know something about it.
type Noter interface {
	Notes() []Missing
}

// Stuck returns the loops whose last iteration is longer ago than Within.
func Stuck(p Program) []Loop {
	var stuck []Loop
	for _, l := range p.Loops() {
		if time.Since(l.Last) > l.Within {
			stuck = append(stuck, l)
		}
	}
	return stuck
}

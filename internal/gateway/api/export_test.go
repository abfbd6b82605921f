package api

import "time"

// EventsEvery is the least time between two looks at changed cameras.
const EventsEvery = eventsEvery

// SetEventStall sets the time for a client to take a piece of events.
func (a *API) SetEventStall(d time.Duration) { a.stall = d }

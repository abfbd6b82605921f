package module

import "time"

// times are durations that tests shorten.
type times struct {
	Token      time.Duration // lifetime of a token for the hub
	ReportPace time.Duration // least time between two writes of reported properties
	HubTurns   time.Duration // time without a turn after which /livez reports the hub's loop as stuck
}

func usualTimes() times {
	return times{
		Token: time.Hour, ReportPace: 10 * time.Second,
		HubTurns: 3 * time.Minute, // hublink.State promises two
	}
}

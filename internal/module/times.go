package module

import "time"

// times are how long things take. Tests have shorter ones.
type times struct {
	Token      time.Duration // the life of each token for the hub
	ReportPace time.Duration // the hub hears of the module at most once in it
	HubTurns   time.Duration // in which the hub's loop turns if it is well: after it /livez says that it does not
}

func usualTimes() times {
	return times{
		Token: time.Hour, ReportPace: 10 * time.Second,
		HubTurns: 3 * time.Minute, // edge.State promises two
	}
}

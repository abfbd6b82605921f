package rtspout

import (
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/gateway/media"
)

// Times are the server's times, for tests that cannot wait for them. It is called before
// Serve.
type Times struct{ Request, Login, Session, Hold, Stall, Report time.Duration }

// SetTimes replaces the times that are not 0.
func (s *Server) SetTimes(t Times) {
	replace := func(to *time.Duration, from time.Duration) {
		if from != 0 {
			*to = from
		}
	}
	replace(&s.times.request, t.Request)
	replace(&s.times.login, t.Login)
	replace(&s.times.session, t.Session)
	replace(&s.times.hold, t.Hold)
	replace(&s.times.stall, t.Stall)
	replace(&s.times.report, t.Report)
}

// Frame returns the shared frames of a unit.
var Frame = frame

// Squeeze returns the times that the units get.
func Squeeze(units []*media.Unit) []int64 {
	var times []int64
	for _, k := range squeeze(units) {
		times = append(times, k.pts)
	}
	return times
}

// ParseTarget returns the name that a URL of a request has, and its track.
func ParseTarget(u *base.URL, setup bool) (name string, track int, err error) {
	t, err := parseTarget(u, setup)
	return t.name, trackOf(u), err
}

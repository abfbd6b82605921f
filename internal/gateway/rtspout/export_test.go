package rtspout

import "time"

// Times are the server's times, for tests that cannot wait for them. It is called before
// Serve.
type Times struct{ Request, Login, Session, Hold, Stall, Report time.Duration }

// SetTimes replaces the times that are not 0.
func (s *Server) SetTimes(t Times) {
	for _, x := range []struct{ to, from *time.Duration }{
		{&s.times.request, &t.Request}, {&s.times.login, &t.Login}, {&s.times.session, &t.Session},
		{&s.times.hold, &t.Hold}, {&s.times.stall, &t.Stall}, {&s.times.report, &t.Report},
	} {
		if *x.from != 0 {
			*x.to = *x.from
		}
	}
}

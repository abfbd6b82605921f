package edge_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"rtsptunnel/internal/module/edge"
)

var restarts = flag.Int("restarts", 3, "how many restarts of the hub BenchmarkRestart measures")

// BenchmarkRestart measures how long after a restart of the hub a method is answered:
// from the hub's listening until the service has the answer. It is run by hand; the
// numbers stand in docs/RELIABILITY.md.
func BenchmarkRestart(b *testing.B) {
	s := newSite(b)
	c := s.client(b)
	s.keep(b, c)
	s.Invoke(b, "x", `{}`)
	var took []time.Duration
	for n := range *restarts {
		awaitState(b, s, c, "subscribed", func(s edge.State) bool { return s.Subscribed })
		s.Stop(b)
		// Off for 0 to 4 s, so that the return falls anywhere between two looks.
		<-time.After(time.Duration(n%17) * 250 * time.Millisecond)
		s.StartAgain(b)
		begin := time.Now()
		s.Invoke(b, "x", `{}`)
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "s/p50")
	b.ReportMetric(took[len(took)*99/100].Seconds(), "s/p99")
	b.ReportMetric(took[len(took)-1].Seconds(), "s/max")
	b.ReportMetric(float64(c.State().Attempts)/float64(*restarts), "attempts/restart")
}

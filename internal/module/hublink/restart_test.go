package hublink_test

import (
	"context"
	"flag"
	"slices"
	"testing"
	"time"

	"rtsptunnel/internal/module/hublink"
)

var restarts = flag.Int("restarts", 3, "how many restarts of the hub BenchmarkRestart measures")

// BenchmarkRestart measures how long after a restart of the hub a method is answered:
// from the moment when the hub listens until the service has the answer. It is run by hand;
// docs/RELIABILITY.md has the numbers.
func BenchmarkRestart(b *testing.B) {
	s := newSite(b)
	c := s.link(b)
	s.keep(b, c)
	s.Invoke(b, "x", `{}`)
	var took []time.Duration
	for n := range *restarts {
		awaitState(b, s, c, "subscribed", func(s hublink.State) bool { return s.Subscribed })
		s.Stop(b)
		// Off for 0 to 4 s, so that the hub returns at any moment between two probes.
		off, cancel := context.WithTimeout(b.Context(), time.Duration(n%17)*250*time.Millisecond)
		<-off.Done()
		cancel()
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

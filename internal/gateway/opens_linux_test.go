package gateway_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// openings is how often the test opens a tunnel: 1,000 times in make long-test.
func openings() int {
	if os.Getenv("RTSPTUNNEL_LONG_TESTS") != "" {
		return 1000
	}
	return 100
}

// Many openings leave no tunnel and no descriptor; TestMain looks for goroutines.
func TestTunnel_opensOften(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	s.replace(t, strings.Replace(string(text), "grace: 500ms", "grace: 0s", 1))
	s.log.AwaitFields(t, 1, "message=configuration is in force")
	open := func(times int) { // some share a stream that has not closed yet
		for range times {
			if _, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "edge1/yard", "ops", s.admin), 1); err != nil {
				t.Fatal(err)
			}
		}
		opened := s.log.CountFields(t, "stream=edge1/yard/main", "message=stream opened")
		s.log.AwaitFields(t, opened, "stream=edge1/yard/main", "message=stream closed")
		s.moduleLog.AwaitFields(t, opened, "camera=yard", "closedBy=remote")
	}
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	open(5)
	before := descriptors()
	open(openings())
	if after := descriptors(); after > before+20 { // connections that the other end has not closed yet
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if _, body := s.get(t, "/metrics"); !strings.Contains(body, "\ntunnelgateway_tunnels{state=\"open\"} 0\n") {
		t.Error("there are tunnels")
	}
}

package hubemulator_test

import (
	"testing"

	"rtsptunnel/internal/hub/hubemulator"
)

// The registry's limit is 100 requests a minute. 1,000 requests take far less than the ten
// minutes in which they would be within the limit.
func TestThrottle_registry(t *testing.T) {
	t.Parallel()
	hub, err := hubemulator.Start(hubemulator.Options{Dir: newDir(t), Throttle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeHub(t, hub) })
	s := newService(t, hub)
	for n := range 1000 {
		status, body, err := s.do(t.Context(), "GET", "/devices", "")
		if err != nil {
			t.Fatal(err)
		}
		if status == 429 {
			if n < 100 {
				t.Errorf("request %d was refused: %s", n+1, body)
			}
			return
		}
	}
	t.Error("the hub refused none of 1000 requests")
}

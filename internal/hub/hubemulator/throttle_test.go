package hubemulator_test

import (
	"testing"

	"rtsptunnel/internal/hub/hubemulator"
)

// The registry's limit is 100 a minute: on no machine takes this so long that
// all of the requests are within it.
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
	t.Error("1000 requests were carried out")
}

package gateway

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/fleet"
)

// A stream whose caller is about to attach stays in the map: one outside of it would be open
// without the API, a change of its camera or the drain knowing of it. An idle one goes.
func TestStreams_tidy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreams(zerolog.Nop())
		s.lookup = func(string) (fleet.Camera, string, error) { return fleet.Camera{Name: "lab/front"}, "main", nil }
		s.configure(&config.Config{})
		found := func() any {
			one, err := s.find("lab/front")
			if err != nil {
				t.Fatal(err)
			}
			return one
		}
		first := found()
		s.tidy()
		if found() != first {
			t.Error("the stream was dropped before its caller could attach")
		}
		timer := time.NewTimer(idleFor + time.Second)
		<-timer.C
		s.tidy()
		if found() == first {
			t.Error("an idle stream stays")
		}
		s.closing.Wait()
	})
}

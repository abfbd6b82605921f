package module_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
)

// Desired properties of any size cost no hub connection and change nothing, but
// tunnels.enabled=false in them closes the tunnels.
func TestSwitch_inALargeTwin(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(echo(t), 554)}})
	far := s.open(t, r, 554)

	// The hub counts no digit of a number. The whole twin is larger than a hub connection keeps.
	digits := json.Number("0." + strings.Repeat("1", 400_000))
	for n := range 3 {
		s.apply(t, map[string]any{fmt.Sprint("x", n): digits})
	}
	tooLarge := func(r report) bool {
		return len(r.Config.Errors) == 1 && r.Config.Errors[0].Code == string(reason.ConfigSize)
	}
	s.reported(t, tooLarge)
	far.isOpen(t)

	s.apply(t, map[string]any{"tunnels": map[string]any{"enabled": false}})
	far.isForbidden(t, reason.Disabled)
	s.refused(t, r.endpoint(), 554, 503, "tunnelOpen", "Tunnels are disabled")

	s.apply(t, map[string]any{"x0": nil, "x1": nil, "x2": nil, "tunnels": nil})
	s.reported(t, func(r report) bool { return len(r.Config.Errors) == 0 })
	s.open(t, r, 554)
	if log := s.log.String(); strings.Contains(log, "no hub connection") {
		t.Errorf("the hub connection was lost:\n%s", log)
	}
}

package opener

import (
	"testing"
	"time"

	"rtsptunnel/internal/gateway/failure"
)

// The hub answers for a module that is silent. If it does not, it is silent itself.
func TestSilent(t *testing.T) {
	if hop := silent(time.Second); hop != failure.Module {
		t.Errorf("soon: %s", hop)
	}
	if hop := silent(responseTimeout + time.Second); hop != failure.Hub {
		t.Errorf("after the hub's own limit: %s", hop)
	}
}

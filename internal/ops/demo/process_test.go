package demo

import (
	"io"
	"strings"
	"testing"
)

// A gateway that does not start fails the demo at once, with the reason from its log.
func TestAwaitGateway_thatEnds(t *testing.T) {
	d := newDemo(newCameras(), newPrinter(io.Discard, func() {}), io.Discard)
	defer d.close()
	d.gateway = &process{name: gatewayStep, out: d.out, logs: io.Discard, command: []string{"/bin/sh", "-c", "echo no such port; exit 1"}}
	if err := d.run(t.Context(), d.gateway); err != nil {
		t.Fatal(err)
	}
	if err := d.awaitGateway(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "it ended;") || !strings.Contains(err.Error(), "no such port") {
		t.Errorf("got %v", err)
	}
}

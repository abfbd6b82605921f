package diagnose

import (
	"context"
	"net"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// dial connects to the camera. A module connects to the camera before it dials the gateway
// ("The direct method" in docs/CONTRACT.md), so the camera's step comes first.
func (d *diagnosis) dial(ctx context.Context) (net.Conn, bool) {
	d.begin()
	ctx, cancel := context.WithTimeout(ctx, openingTimeout)
	defer cancel()
	conn, err := d.Dial(ctx)
	if err != nil {
		if afterCamera(failure.Of(err)) {
			d.passed(failure.Camera, cameraAnswers, "")
		}
		return nil, d.failed(ctx, failure.Camera, err)
	}
	if d.Hub == nil {
		d.passed(failure.Camera, "the camera accepts the gateway's connection", "")
		return conn, true
	}
	arrived := time.Now()
	if c, ok := conn.(interface{ Arrived() time.Time }); ok {
		arrived = c.Arrived()
	}
	d.passedAt(arrived, failure.Camera, cameraAnswers)
	d.passed(failure.Gateway, "the module's WebSocket has reached the gateway", "")
	return conn, true
}

const cameraAnswers = "the camera accepts the module's connection"

// passedAt is passed for a hop that answered at a time in the past.
func (d *diagnosis) passedAt(at time.Time, hop failure.Hop, message string) {
	begun := d.begun
	d.begun = time.Now().Add(begun.Sub(at)) // so that the step took at - begun
	d.passed(hop, message, "")
	d.begun = at
}

// afterCamera tells whether a tunnel failed on its last part, after the module had reached
// the camera.
func afterCamera(f *failure.Failure) bool {
	switch f.Reason {
	case reason.RemoteHTTP, reason.RemoteRefused, reason.RemoteTimeout, reason.ProxyHTTP, reason.TunnelMissing:
		return true
	}
	return false
}

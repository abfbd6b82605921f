package module

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/report"
)

// States of a camera.
const (
	cameraOK          = "ok"
	cameraUnreachable = "unreachable"
)

// cameraHealth keeps the outcome of the last dial to each camera. Only tunnels dial:
// there is no other probe. Its zero value is empty. It is safe for concurrent use.
type cameraHealth struct {
	mu      sync.Mutex
	byName  map[string]lastDial
	changes int64
}

// lastDial is the state of a camera after its last dial, without LocalPort and Open.
type lastDial struct {
	host   string // what was dialed
	port   int
	status report.CameraStatus
}

// dialCamera dials a camera for a tunnel and records the outcome.
func (m *module) dialCamera(ctx context.Context, c camera.Camera) (net.Conn, error) {
	conn, err := c.Dial(ctx)
	why := reason.Of(err)
	if !errors.Is(ctx.Err(), context.Canceled) && why != reason.NoResources { // neither says anything about the camera
		m.health.record(c, why)
	}
	return conn, err
}

// record stores the outcome of a dial of c: the reason why it failed, empty if it
// succeeded.
func (h *cameraHealth) record(c camera.Camera, why reason.Code) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := lastDial{host: c.Host, port: c.Port, status: report.CameraStatus{State: cameraOK, Since: time.Now(), LastReason: why}}
	if why != "" {
		next.status.State = cameraUnreachable
	}
	last := h.byName[c.Name]
	if last.status.State == next.status.State && last.host == c.Host && last.port == c.Port {
		next.status.Since = last.status.Since
	}
	if next == last {
		return
	}
	if h.byName == nil {
		h.byName = make(map[string]lastDial)
	}
	h.byName[c.Name] = next
	h.changes++
}

// retain forgets all cameras but these.
func (h *cameraHealth) retain(cameras []camera.Camera) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.byName, func(name string, _ lastDial) bool {
		return !slices.ContainsFunc(cameras, func(c camera.Camera) bool { return c.Name == name })
	})
}

// of returns the state of a camera at its present host and port. The state is empty if
// these were not dialed yet.
func (h *cameraHealth) of(c camera.Camera) report.CameraStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.byName[c.Name]
	if last.host != c.Host || last.port != c.Port {
		return report.CameraStatus{}
	}
	return last.status
}

// count returns the number of changes so far.
func (h *cameraHealth) count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes
}

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
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/module/twin"
)

// States of a camera.
const (
	cameraOK          = "ok"
	cameraUnreachable = "unreachable"
)

// looks is how cameras were when a tunnel was last opened to them; nobody else looks.
// Its zero value knows of none.
type looks struct {
	mu      sync.Mutex
	byName  map[string]look
	changes int64
}

type look struct {
	host  string // where it was looked for
	port  int
	state string
	since time.Time
	why   reason.Code
}

// camera is the camera with that local port, for a tunnel, whose outcome is looked at.
func (m *module) camera(localPort int) (tunnel.Camera, bool) {
	c, ok := m.cameras.Find(localPort)
	dial := func(ctx context.Context) (net.Conn, error) {
		conn, err := c.Dial(ctx)
		if !errors.Is(ctx.Err(), context.Canceled) { // that would say nothing of the camera
			m.looks.add(c, reason.Of(err))
		}
		return conn, err
	}
	return tunnel.Camera{Name: c.Name, Target: c.Target(), MaxTunnels: c.MaxTunnels, Dial: dial}, ok
}

// add takes why a camera could not be dialled, nothing if it could.
func (l *looks) add(c camera.Camera, why reason.Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := look{host: c.Host, port: c.Port, state: cameraOK, since: time.Now(), why: why}
	if why != "" {
		next.state = cameraUnreachable
	}
	before := l.byName[c.Name]
	if before.state == next.state && before.host == c.Host && before.port == c.Port {
		next.since = before.since
	}
	if next == before {
		return
	}
	if l.byName == nil {
		l.byName = make(map[string]look)
	}
	l.byName[c.Name] = next
	l.changes++
}

// forget leaves the looks at these cameras.
func (l *looks) forget(others []twin.Camera) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.byName, func(name string, _ look) bool {
		return !slices.ContainsFunc(others, func(c twin.Camera) bool { return c.Name == name })
	})
}

// at is how the camera is, where it is now; with no state if nobody has looked there.
func (l *looks) at(c twin.Camera) report.Camera {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.byName[c.Name]
	if seen.host != c.Host || seen.port != c.Port {
		return report.Camera{}
	}
	return report.Camera{State: seen.state, Since: seen.since, LastReason: seen.why}
}

// count tells how often a state has changed.
func (l *looks) count() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changes
}

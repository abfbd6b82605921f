package tunnel

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/wire/pace"
	"rtsptunnel/internal/wire/relay"
)

// Set is the live tunnels. Its methods may be called by several goroutines.
type Set struct {
	o Options

	mu       sync.Mutex
	limits   Limits
	rates    Rates
	closing  bool
	slots    map[*slot]struct{}
	byCamera map[string]*share // by name, of the cameras that have slots
	look     *time.Timer       // looks for tunnels to expire; nil while none can
	lookAt   time.Time         // when it does
	totals   Totals
	tunnels  sync.WaitGroup // one for each that was admitted, until its last line is logged

	rate pace.Limit // of all tunnels
}

// share is what the tunnels of one camera have together.
type share struct {
	slots int // how many they are
	rate  pace.Limit
}

// slot is one tunnel's place in its Set, from before the first dial until both
// connections are closed.
type slot struct {
	camera camera.Camera
	limits Limits // when it was admitted
	pace   *pace.Pace
	end    context.CancelCauseFunc
	bytes  relay.Counts // delivered so far: up is from A to B

	// With the Set's mu.
	info   Info
	remote net.Conn    // once open
	opened time.Time   // when
	forced *time.Timer // resets remote; set once the tunnel was ended
	reset  bool        // forced did

	// Of expire, with mu too.
	carried int64     // bytes of both ways, when it looked last
	active  time.Time // the last of them came no later
}

// Info is one tunnel of a Set.
type Info struct {
	ID        string
	Camera    string // its name
	LocalPort int
	URL       *url.URL  // the remote endpoint as it was asked for: its query may be secret
	Since     time.Time // when it was asked for
	Open      bool      // false while it is being opened
	// Delivered so far: to the remote end, to the camera.
	BytesUp, BytesDown int64
}

// Totals counts since a Set was made.
type Totals struct {
	Opened, Failed     int64 // tunnels opened; requests that were not fulfilled
	BytesUp, BytesDown int64 // delivered: to remote ends, to cameras
}

// New returns an empty set. Shutdown ends it.
func New(o Options) *Set {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.DialCamera == nil {
		o.DialCamera = func(ctx context.Context, c camera.Camera) (net.Conn, error) { return c.Dial(ctx) }
	}
	return &Set{
		o: o, limits: o.Limits.withDefaults(),
		slots: make(map[*slot]struct{}), byCamera: make(map[string]*share),
	}
}

// admit decides about a request and takes a slot for it; leave gives it back, and
// tunnels.Done says that all is over. end ends the tunnel, and remote is the URL to
// dial. Nothing was dialled if there is an error, which is the contract's.
func (s *Set) admit(r tunnelopen.Request, end context.CancelCauseFunc) (t *slot, remote *url.URL, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, nil, tunnelopen.ShuttingDown()
	}
	if !s.limits.Enabled {
		return nil, nil, tunnelopen.Disabled()
	}
	c, ok := s.o.Camera(r.LocalPort)
	if !ok {
		return nil, nil, tunnelopen.PortUnavailable(r.LocalPort)
	}
	remote = r.URL
	if s.o.Allow != nil {
		if remote, err = s.o.Allow(r); err != nil {
			return nil, nil, tunnelopen.RemoteForbidden(r.RemoteEndpoint, err)
		}
	}
	if c.MaxTunnels > 0 && s.count(c.Name) >= c.MaxTunnels {
		return nil, nil, tunnelopen.TooManyTunnels(c.Target(), reason.CameraBusy)
	}
	if len(s.slots) >= s.limits.Max {
		return nil, nil, tunnelopen.TooManyTunnels(c.Target(), reason.LimitTunnels)
	}
	t = &slot{camera: c, limits: s.limits, pace: s.join(c.Name), end: end, info: Info{
		ID: rand.Text()[:8], Camera: c.Name, LocalPort: r.LocalPort,
		URL: r.URL, Since: time.Now(),
	}}
	s.slots[t] = struct{}{}
	s.tunnels.Add(1)
	return t, remote, nil
}

// opened says that both ends of a tunnel are connected.
func (s *Set) opened(t *slot, remote net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t.remote, t.info.Open, t.opened, t.active = remote, true, now, now
	s.totals.Opened++
	if s.look == nil {
		s.lookLater(now)
	}
}

// fail counts a request that was not fulfilled.
func (s *Set) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.Failed++
}

// leave gives the slot of a tunnel back, of which no connection is left. It tells
// whether the remote end was reset.
func (s *Set) leave(t *slot) (reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.slots, t)
	of := s.byCamera[t.info.Camera]
	if of.slots--; of.slots == 0 {
		delete(s.byCamera, t.info.Camera)
	}
	s.totals.BytesUp += t.bytes.AtoB.Load()
	s.totals.BytesDown += t.bytes.BtoA.Load()
	if t.forced != nil {
		t.forced.Stop()
	}
	t.end(nil)
	return t.reset
}

// Len is the number of tunnels that are open or being opened.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots)
}

// Count is how many of them a camera has.
func (s *Set) Count(camera string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count(camera)
}

// count is Count for a caller that holds mu.
func (s *Set) count(camera string) int {
	if of := s.byCamera[camera]; of != nil {
		return of.slots
	}
	return 0
}

// Tunnels is all of them, the oldest first.
func (s *Set) Tunnels() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Info, 0, len(s.slots))
	for t := range s.slots {
		info := t.info
		info.BytesUp, info.BytesDown = t.bytes.AtoB.Load(), t.bytes.BtoA.Load()
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b Info) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Totals counts since the set was made, live tunnels included.
func (s *Set) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := s.totals
	for t := range s.slots {
		totals.BytesUp += t.bytes.AtoB.Load()
		totals.BytesDown += t.bytes.BtoA.Load()
	}
	return totals
}

// Shutdown opens nothing any more, tells every tunnel's remote end that the module
// goes away (reason.ShuttingDown), and returns when all are closed, or with ctx's
// error when that takes longer than ctx. A remote end that takes no bytes is reset
// after 4 s.
func (s *Set) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for t := range s.slots {
		s.end(t, reason.ShuttingDown, shutdownTime)
	}
	s.lookLater(time.Now()) // nobody has to
	s.mu.Unlock()

	closed := make(chan struct{})
	go func() {
		s.tunnels.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

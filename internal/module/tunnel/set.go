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
	"rtsptunnel/internal/module/logline"
	"rtsptunnel/internal/wire/pace"
	"rtsptunnel/internal/wire/relay"
)

// Set holds the live tunnels. Its methods are safe for concurrent use.
type Set struct {
	o Options

	mu       sync.Mutex
	limits   Limits
	rates    Rates
	closing  bool
	slots    map[*slot]struct{}
	byCamera map[string]*cameraUse // by name; only cameras that have slots
	expiry   *time.Timer           // calls expire; nil while no tunnel can expire
	expiryAt time.Time             // when expiry fires
	totals   Totals
	tunnels  sync.WaitGroup // one for each admitted tunnel, until its last line is logged

	rate pace.Limit // of all tunnels
}

// cameraUse is the state that the tunnels of one camera share.
type cameraUse struct {
	slots int
	rate  pace.Limit
}

// slot is one tunnel in its Set, from before the first dial until both connections are
// closed.
type slot struct {
	camera camera.Camera
	limits Limits // in force when it was admitted
	pace   *pace.Pace
	end    context.CancelCauseFunc
	bytes  relay.Counts // delivered so far; A is the camera, B the remote end

	// Guarded by the Set's mu:
	info       Info
	remote     net.Conn    // nil until the tunnel is open
	opened     time.Time   // when it opened
	resetTimer *time.Timer // resets remote; nil until the tunnel is ended
	reset      bool        // resetTimer has reset remote

	// For expire, guarded by mu too:
	carried int64     // bytes in both directions at the last check
	active  time.Time // no byte was carried after this time, as of the last check
}

// Info is one tunnel of a Set.
type Info struct {
	ID        string
	Camera    string // name
	LocalPort int
	URL       *url.URL  // remote endpoint of the request; read only; its query may be secret
	Since     time.Time // when the request was admitted
	Open      bool      // false during the dials
	// Delivered so far to the remote end, and to the camera.
	BytesUp, BytesDown int64
}

// Totals are the counters of a Set since New.
type Totals struct {
	Opened, Failed     int64 // tunnels opened, and requests that failed
	BytesUp, BytesDown int64 // delivered to remote ends, and to cameras
}

// New returns an empty Set. The caller ends it by Shutdown.
func New(o Options) *Set {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.DialCamera == nil {
		o.DialCamera = func(ctx context.Context, c camera.Camera) (net.Conn, error) { return c.Dial(ctx) }
	}
	if o.Refusals == nil {
		o.Refusals = logline.NewRefusals(o.Log)
	}
	return &Set{
		o: o, limits: o.Limits.withDefaults(),
		slots: make(map[*slot]struct{}), byCamera: make(map[string]*cameraUse),
	}
}

// admit refuses a request with the contract's error, or takes a slot for it and returns
// the URL to dial. end ends the tunnel. The caller gives the slot back by leave, and
// calls tunnels.Done when the last line is logged.
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

// opened marks a tunnel as open: both ends are connected.
func (s *Set) opened(t *slot, remote net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t.remote, t.info.Open, t.opened, t.active = remote, true, now, now
	s.totals.Opened++
	if s.expiry == nil {
		s.scheduleExpiry(now)
	}
}

// fail counts a failed request.
func (s *Set) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.totals.Failed++
}

// leave gives a tunnel's slot back, after both connections are closed. It tells whether
// the remote end was reset.
func (s *Set) leave(t *slot) (reset bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.slots, t)
	use := s.byCamera[t.info.Camera]
	if use.slots--; use.slots == 0 {
		delete(s.byCamera, t.info.Camera)
	}
	s.totals.BytesUp += t.bytes.AtoB.Load()
	s.totals.BytesDown += t.bytes.BtoA.Load()
	if t.resetTimer != nil {
		t.resetTimer.Stop()
	}
	t.end(nil)
	return t.reset
}

// Len returns the number of tunnels that are open or being opened.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.slots)
}

// Count is Len for one camera, by its name.
func (s *Set) Count(camera string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count(camera)
}

// count is Count for a caller that holds mu.
func (s *Set) count(camera string) int {
	if use := s.byCamera[camera]; use != nil {
		return use.slots
	}
	return 0
}

// Tunnels returns all tunnels that are open or being opened, the oldest first.
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

// Totals returns the counters since New, which include live tunnels.
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

// Shutdown refuses new requests, ends every tunnel with reason.ShuttingDown, which its
// remote end gets, and returns when all tunnels are closed. It returns ctx's error when
// ctx ends before. A remote end that takes no bytes is reset after 4 s.
func (s *Set) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for t := range s.slots {
		s.end(t, reason.ShuttingDown, shutdownTimeout)
	}
	s.scheduleExpiry(time.Now()) // stops the timer: all tunnels were ended
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

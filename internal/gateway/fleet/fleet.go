// Package fleet knows which cameras there are: those of the gateway's file, and those in the
// twins of the modules that a hub's query finds. It gives them names, aliases, videos and
// credentials, and tells which of them were removed or changed.
//
// The rules are:
//   - a camera's name is DEVICE/CAMERA, or DEVICE/MODULE.CAMERA if two modules of the device
//     have a camera of one name (package name has the grammar);
//   - cameras and paths come from the desired properties, which are complete; states come
//     from the reported ones, which may be cut;
//   - an invalid twin affects only its own cameras: the last valid ones stay. A hub that
//     does not answer keeps its cameras;
//   - the file's settings win over what is discovered.
//
// A camera is an entry of a map: no goroutine, timer or connection belongs to one. Code
// belongs here if it is about which cameras there are; it must not know media and viewers.
package fleet

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/hub/hubclient"
)

// Options are settings of a Fleet, each with a default if it is zero.
type Options struct {
	Log zerolog.Logger
	// Changed is called with the cameras and streams that were removed or changed, one call
	// after the other, after Lookup returns the new state. It must not call Set or Refresh.
	Changed func([]Change)
	// Updated is called after each look at the cameras, whatever came of it. It must return
	// soon, and must not call Set or Refresh.
	Updated func()

	Interval      time.Duration // between two reads of the hubs, about; 60 s
	MinInterval   time.Duration // between two reads on demand; 5 s
	ThrottlePause time.Duration // before a query that the hub throttled is sent again; 10 s
	MaxCameras    int           // of one hub, and as many modules; 20,000
}

func (o Options) withDefaults() Options {
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&o.Interval, time.Minute)
	fill(&o.MinInterval, 5*time.Second)
	fill(&o.ThrottlePause, 10*time.Second)
	if o.MaxCameras == 0 {
		o.MaxCameras = 20_000
	}
	if o.Changed == nil {
		o.Changed = func([]Change) {}
	}
	if o.Updated == nil {
		o.Updated = func() {}
	}
	return o
}

// Fleet has the cameras. It is safe for concurrent use.
type Fleet struct {
	options Options
	index   atomic.Pointer[index]
	wanted  chan struct{} // holds a token if a read is wanted before its time
	reading chan struct{} // holds a token while a read runs

	changing sync.Mutex // held while the index changes and Changed runs; before mu
	mu       sync.Mutex // guards the following
	config   Config
	hubs     map[string]*hub
	started  uint64 // reads
	finished uint64 // the last read that its context did not end
	asks     asks
}

// New returns a fleet without cameras.
func New(o Options) *Fleet {
	f := &Fleet{
		options: o.withDefaults(), hubs: make(map[string]*hub),
		wanted: make(chan struct{}, 1), reading: make(chan struct{}, 1),
	}
	f.index.Store(build(Config{}, nil, &index{}))
	return f
}

// Set puts a configuration in force. Cameras of its direct sources and of those with a local
// port are there at once, discovered ones after the next read, which Run begins soon. Hubs
// with the same name and host keep their cameras.
func (f *Fleet) Set(c Config) {
	f.changing.Lock()
	defer f.changing.Unlock()
	f.mu.Lock()
	f.config = c
	hubs := make(map[string]*hub)
	for key, h := range c.Hubs {
		if !h.Discover || h.Client == nil {
			continue
		}
		next := hub{name: key}
		if last := f.hubs[key]; last != nil && last.client.Host() == h.Client.Host() {
			next = *last
		}
		next.client = h.Client
		hubs[key] = &next
	}
	f.hubs = hubs
	f.mu.Unlock()
	f.rebuild()
	f.want()
}

// Cameras returns all cameras, sorted by name.
func (f *Fleet) Cameras() []Camera {
	sorted := f.index.Load().sorted
	cameras := make([]Camera, len(sorted))
	for i, c := range sorted {
		cameras[i] = *c
	}
	return cameras
}

// Problems returns why cameras are not there as the file or a hub has them, at most 1,000,
// sorted by camera.
func (f *Fleet) Problems() []Problem { return f.index.Load().problems }

// Lookup returns the camera and the stream with a decoded name: a camera's name or an alias,
// either with a stream. Without one, the stream is main. A camera wins over an alias with a
// stream. The error is a *failure.Failure: CAM_UNKNOWN, or why a hub has never been read;
// then Run reads the hubs soon, but rarely for a name that remains unknown. Camera.Check has the other errors, with which the camera is
// returned, too.
func (f *Fleet) Lookup(decoded string) (Camera, string, error) {
	found, stream, err := f.find(decoded)
	switch {
	case err != nil:
		return Camera{}, "", err
	case found == nil:
		return Camera{}, "", f.unknown(decoded)
	}
	return *found, stream, found.Check(stream)
}

// Known is Lookup without a read of the hubs and without Check: for names that strangers ask
// for.
func (f *Fleet) Known(decoded string) (c Camera, stream string, ok bool) {
	found, stream, err := f.find(decoded)
	if err != nil || found == nil {
		return Camera{}, "", false
	}
	return *found, stream, true
}

// ByGUID returns the camera whose video has this UUID, in lower case.
func (f *Fleet) ByGUID(guid string) (c Camera, ok bool) {
	found := f.index.Load().guids[guid]
	if found == nil {
		return Camera{}, false
	}
	return *found, true
}

// find returns the camera with a name, or nil. The error is of a name that no camera can have.
func (f *Fleet) find(decoded string) (found *Camera, stream string, err error) {
	device, camera, stream, err := name.Split(decoded)
	if err != nil {
		return nil, "", err
	}
	index := f.index.Load()
	found = index.cameras[device+"/"+camera]
	switch {
	case device == "":
		found = index.aliases[camera]
	case found == nil && stream == "":
		found, stream = index.aliases[device], camera
	}
	if stream == "" {
		stream = desired.MainStream
	}
	return found, stream, nil
}

// unknown returns the failure of a name that no camera has, and asks for a read of the hubs.
func (f *Fleet) unknown(decoded string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.hubs) == 0 {
		return failure.New(failure.Viewer, reason.CameraUnknown, nil)
	}
	for _, h := range f.hubs {
		if h.read.IsZero() && h.failure != nil {
			f.want()
			return h.failure.At(h.since, time.Time{})
		}
	}
	if f.asks.again(decoded, time.Now(), f.options.MinInterval, f.options.Interval) {
		f.want()
	}
	return failure.New(failure.Viewer, reason.CameraUnknown, nil)
}

// Suspect makes Run read the hubs soon, but rarely while a hub stays the same: another call of
// this hub has failed, so that Hubs has the failure before its regular read.
func (f *Fleet) Suspect(hub string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asks.again("hubs."+hub, time.Now(), f.options.MinInterval, f.options.Interval) {
		f.want()
	}
}

// want makes Run read the hubs soon.
func (f *Fleet) want() {
	select {
	case f.wanted <- struct{}{}:
	default:
	}
}

// Run reads the hubs now, about each minute, and on demand, until ctx is done.
func (f *Fleet) Run(ctx context.Context) {
	interval := f.options.Interval
	for {
		_ = f.Refresh(ctx) // the log and Hubs have the failure
		read := time.Now()
		timer := time.NewTimer(interval - interval/10 + rand.N(interval/5+1)) //nolint:gosec // spreads requests, no secret
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-f.wanted:
			timer.Stop()
			if !sleep(ctx, f.options.MinInterval-time.Since(read)) {
				return
			}
		}
	}
}

// Refresh reads all hubs now. Calls that wait for a running read share the next one. The
// error is the failure of the first hub by name that has one, or ctx's.
func (f *Fleet) Refresh(ctx context.Context) error {
	f.mu.Lock()
	asked := f.started
	f.mu.Unlock()
	select {
	case f.reading <- struct{}{}:
		defer func() { <-f.reading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	hubs, shared := f.begin(asked)
	if shared {
		return f.firstFailure()
	}
	var group sync.WaitGroup
	for _, h := range hubs {
		group.Go(func() {
			f.readHub(ctx, h)
			f.changing.Lock()
			defer f.changing.Unlock()
			f.rebuild() // a hub that is throttled for minutes does not delay the others
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		f.want() // for the callers whose read this was
		return ctx.Err()
	}
	f.mu.Lock()
	f.finished = f.started
	f.mu.Unlock()
	return f.firstFailure()
}

// begin begins a read of these hubs, unless one that began after the call has finished.
// asked is the number of reads that had begun before the call.
func (f *Fleet) begin(asked uint64) (hubs []hub, shared bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finished > asked {
		return nil, true
	}
	f.started++
	select {
	case <-f.wanted: // this read is the one
	default:
	}
	for _, h := range f.hubs {
		hubs = append(hubs, *h)
	}
	return hubs, false
}

// rebuild replaces the index, and reports what changed. The caller holds changing.
func (f *Fleet) rebuild() {
	f.mu.Lock()
	config, hubs := f.config, make(map[string]map[hubclient.Identity]*module, len(f.hubs))
	for key, h := range f.hubs {
		hubs[key] = h.modules
	}
	f.mu.Unlock()
	last := f.index.Load()
	next := build(config, hubs, last)
	f.index.Store(next)
	if len(last.sorted) != len(next.sorted) {
		f.options.Log.Info().Int("cameras", len(next.sorted)).Int("problems", len(next.problems)).Msg("cameras changed")
	}
	if changes := changes(last, next); len(changes) > 0 {
		f.options.Changed(changes)
	}
	f.options.Updated()
}

// sleep waits, and reports false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

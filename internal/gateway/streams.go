package gateway

import (
	"context"
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/still"
	"rtsptunnel/internal/gateway/stream"
)

// idleFor is how long a stream must be idle, and not asked for, to be dropped from the map.
const idleFor = time.Minute

// streams are the streams that had a viewer, by name. Other cameras have no entry. Its methods
// are safe for concurrent use.
type streams struct {
	lookup   func(name string) (fleet.Camera, string, error) // fleet.Lookup
	tunnel   func(ctx context.Context, c fleet.Camera) (net.Conn, error)
	openings openings
	observe  func(stream.Event)
	found    func(full string, e *entry) // takes each new entry, and must not call streams; may be nil
	stills   *still.Store                // last pictures of dropped streams
	log      zerolog.Logger

	closing sync.WaitGroup // streams of removed cameras, and readers of keepOpen

	mu      sync.Mutex
	options stream.Options // of new streams
	all     map[string]*entry
	kept    map[string]context.CancelFunc // ends the reader of a camera with keepOpen
	refused *failure.Failure              // of shutdown
	dropped uint64                        // bytes of streams that are no longer in the map
}

// entry is one stream of a camera.
type entry struct {
	stream *stream.Stream
	source sourceSlot
	// dropped is closed when the entry is no longer in the map.
	dropped chan struct{}
	asked   time.Time // when find returned it last; guarded by streams.mu
}

func newStreams(log zerolog.Logger) *streams {
	return &streams{log: log, stills: still.NewStore(0), all: map[string]*entry{}, kept: map[string]context.CancelFunc{}}
}

// configure sets the limits of all streams.
func (s *streams) configure(c *config.Config) {
	s.openings.limit(c.Limits.Openings)
	grace := time.Duration(c.Live.Grace)
	if grace == 0 {
		grace = -1 // zero is the default of package stream
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = stream.Options{
		Grace: grace, Opening: time.Duration(c.Live.Opening), KeyFrame: time.Duration(c.Live.KeyFrame), Lag: time.Duration(c.Limits.Lag),
		RingBytes: int(c.Limits.Ring), RingAge: time.Duration(c.Limits.RingAge), Log: s.log, Observe: s.observe,
	}
	for _, e := range s.all {
		e.stream.Configure(s.options)
	}
}

// find returns the stream with a name: device/camera, a video's name, or either with a
// stream's name behind it. It creates an idle one for the first caller. The error is a
// *failure.Failure.
func (s *streams) find(name string) (*stream.Stream, error) {
	camera, streamName, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	full := camera.Name + "/" + streamName
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return nil, s.refused
	}
	e := s.all[full]
	if e == nil {
		e = &entry{dropped: make(chan struct{})}
		o := s.options
		o.Name, o.Open = full, s.openFunc(e, full)
		e.stream = stream.New(o)
		s.all[full] = e
		if s.found != nil {
			s.found(full, e)
		}
	}
	e.asked = time.Now()
	return e.stream, nil
}

// known returns the stream with a full name; nil if it was never asked for.
func (s *streams) known(full string) *stream.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[full]; e != nil {
		return e.stream
	}
	return nil
}

// state returns the state of a stream, by its full name. A stream that was never asked for
// is idle.
func (s *streams) state(full string) stream.State {
	known := s.known(full)
	if known == nil {
		return stream.State{Phase: stream.PhaseIdle}
	}
	return known.State()
}

// close ends a stream of a camera and its readers with cause; all of its streams if the
// stream's name is empty.
func (s *streams) close(camera, streamName string, cause error) {
	for full, e := range s.snapshot() {
		if of(full, camera, streamName) {
			e.stream.Close(cause)
		}
	}
}

// of tells whether a full name is of a stream of the camera; of any if streamName is empty.
func of(full, camera, streamName string) bool {
	if streamName == "" {
		return full[:strings.LastIndexByte(full, '/')] == camera
	}
	return full == camera+"/"+streamName
}

// lastPicture returns when the newest picture of a stream was received that can be shown; zero
// if there is none.
func (s *streams) lastPicture(full string) time.Time {
	if known := s.known(full); known != nil {
		if key := known.LastKey(); key != nil {
			return key.Wall
		}
	}
	return s.stills.Taken(full)
}

// snapshot returns the entries by name.
func (s *streams) snapshot() map[string]*entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.all)
}

// changed ends the streams of cameras that were removed or switched off, and opens those
// again whose camera has another address or path: their readers stay. It is fleet's Changed.
func (s *streams) changed(list []fleet.Change) {
	all := s.snapshot()
	for _, c := range list {
		for full, e := range all {
			if !of(full, c.Camera, c.Stream) {
				continue
			}
			if c.Reason != reason.CameraChanged {
				s.drop(full, e, failure.New(failure.Gateway, c.Reason, nil))
				continue
			}
			s.closing.Go(func() {
				e.source.end(failure.New(failure.Gateway, c.Reason, nil))
				e.stream.Forget()
			})
		}
		s.stills.Forget(c.Camera)
	}
}

// forget makes failed streams open again at once: their camera may have other credentials.
func (s *streams) forget() {
	for _, e := range s.snapshot() {
		e.stream.Forget()
	}
}

// tidy drops the streams that were idle for a minute. A stream that find has returned since
// then stays: its caller may be about to attach.
func (s *streams) tidy() {
	for full, e := range s.snapshot() {
		state := e.stream.State()
		if state.Phase != stream.PhaseIdle || state.Readers > 0 || time.Since(state.Since) <= idleFor {
			continue
		}
		s.mu.Lock()
		if time.Since(e.asked) > idleFor {
			s.remove(full, e, failure.New(failure.Gateway, reason.StreamClosed, nil))
		}
		s.mu.Unlock()
	}
}

// drop removes an entry, and ends its stream with cause.
func (s *streams) drop(full string, e *entry, cause *failure.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(full, e, cause)
}

// remove is drop with mu held.
func (s *streams) remove(full string, e *entry, cause *failure.Failure) {
	if s.all[full] != e {
		return
	}
	delete(s.all, full)
	close(e.dropped)
	s.dropped += e.stream.State().Bytes
	if cause.Reason == reason.StreamClosed { // else the camera is another one, or gone
		s.stills.Keep(full, e.stream.LastKey())
	}
	s.closing.Go(func() { e.stream.Close(cause) })
}

// shutdown ends all streams and their readers, and waits for them until ctx is done.
func (s *streams) shutdown(ctx context.Context) {
	s.mu.Lock()
	s.refused = failure.New(failure.Gateway, reason.ShuttingDown, nil)
	for _, end := range s.kept {
		end()
	}
	s.mu.Unlock()
	var ending sync.WaitGroup
	for full, e := range s.snapshot() {
		ending.Go(func() {
			if err := e.stream.Shutdown(ctx); err != nil {
				s.log.Warn().Str("stream", full).Err(err).Msg("stream is not closed in time")
			}
		})
	}
	ending.Wait()
	s.closing.Wait()
}

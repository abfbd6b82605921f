package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hubfailure"
	"rtsptunnel/internal/hub/hubclient"
)

// hub is a hub with discovery. Its modules do not change; a read replaces them.
type hub struct {
	name    string
	client  *hubclient.Client
	modules map[hubclient.Identity]*module
	cameras int
	faulty  int
	cut     bool
	read    time.Time        // end of the last successful read; zero if there was none
	since   time.Time        // of failure
	failure *failure.Failure // of the last read; nil if it was successful
}

// HubState is a hub with discovery.
type HubState struct {
	Name    string
	Host    string
	Modules int // with and without cameras
	Cameras int
	Faulty  int              // modules whose cameras have faults: the log names them
	Fault   string           // of the first of them by identity, with it
	Cut     bool             // the hub has more cameras than the gateway keeps
	ReadAt  time.Time        // end of the last successful read; zero if there was none
	Failure *failure.Failure // of the last read, since the first failed one; nil if it was successful
}

// Hubs returns the state of each hub with discovery, sorted by name.
func (f *Fleet) Hubs() []HubState {
	f.mu.Lock()
	defer f.mu.Unlock()
	states := make([]HubState, 0, len(f.hubs))
	for _, h := range f.hubs {
		s := HubState{Name: h.name, Host: h.client.Host(), Modules: len(h.modules), Cameras: h.cameras, Faulty: h.faulty, Cut: h.cut, ReadAt: h.read}
		s.Fault = firstFault(h.modules)
		if h.failure != nil {
			s.Failure = h.failure.At(h.since, time.Time{})
		}
		states = append(states, s)
	}
	slices.SortFunc(states, func(a, b HubState) int { return cmp.Compare(a.Name, b.Name) })
	return states
}

func firstFault(modules map[hubclient.Identity]*module) string {
	first := ""
	for id, m := range modules {
		if text := id.String() + ": " + m.fault; m.fault != "" && (first == "" || text < first) {
			first = text
		}
	}
	return first
}

// firstFailure returns the failure of the first hub by name that has one.
func (f *Fleet) firstFailure() error {
	for _, h := range f.Hubs() {
		if h.Failure != nil {
			return h.Failure
		}
	}
	return nil
}

// readHub reads a hub, and stores the result unless the hub was replaced meanwhile.
func (f *Fleet) readHub(ctx context.Context, h hub) {
	r, err := f.read(ctx, h.client, h.modules)
	if ctx.Err() != nil {
		return // the gateway ends, or the caller has left: no failure of the hub
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.hubs[h.name]
	if now == nil || now.client.Host() != h.client.Host() {
		return
	}
	log := f.options.Log.With().Str("hub", h.name).Str("host", h.client.Host()).Logger()
	if err != nil {
		failed := hubfailure.Of(fmt.Errorf("read cameras: %w", err))
		if now.failure == nil {
			now.since = time.Now()
		}
		if now.failure == nil || now.failure.Reason != failed.Reason {
			log.Warn().Str("reason", string(failed.Reason)).Err(err).Int("cameras", now.cameras).Msg("cannot read cameras of the hub; those that are known stay")
		}
		now.failure = failed
		return
	}
	if now.failure != nil {
		log.Info().Dur("outage", time.Since(now.since)).Msg("cameras of the hub can be read again")
	}
	if r.cut && !now.cut {
		log.Warn().Int("cameras", r.cameras).Msg("the hub has more cameras than the gateway keeps")
	}
	f.logFaults(h, r)
	now.modules, now.cameras, now.faulty, now.cut = r.modules, r.cameras, r.faulty, r.cut
	now.read, now.since, now.failure = time.Now(), time.Time{}, nil
}

// maxFaultLines is how many modules with new faults a read logs by name.
const maxFaultLines = 20

// logFaults logs each module whose fault is new.
func (f *Fleet) logFaults(h hub, r reading) {
	n := 0
	for id, m := range r.modules {
		if last := h.modules[id]; m.fault == "" || last != nil && last.fault == m.fault {
			continue
		}
		if n++; n <= maxFaultLines {
			f.options.Log.Warn().Str("hub", h.name).Stringer("module", id).Str("fault", m.fault).
				Msg("a module's twin has cameras with faults; their last valid configuration stays")
		}
	}
	if n > maxFaultLines {
		f.options.Log.Warn().Str("hub", h.name).Int("modules", n).Msg("more modules' twins have cameras with faults")
	}
}

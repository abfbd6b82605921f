package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/testkit/rtsptest"
)

const (
	onceFrames = 100              // video frames to pull from each camera
	onceTime   = 30 * time.Second // for each camera; four seconds of video
)

// Watched is how one camera could be watched through its tunnel; the JSON of
// --once --json is {"cameras": [Watched...]}.
type Watched struct {
	Name             string  `json:"name"`
	URL              string  `json:"url"`
	OpenMillis       float64 `json:"openMillis"`       // from the player's connection to the open tunnel
	FirstFrameMillis float64 `json:"firstFrameMillis"` // from the player's dial to its first whole key frame
	Frames           int     `json:"frames"`
	BytesUp          int64   `json:"bytesUp"`   // from the camera
	BytesDown        int64   `json:"bytesDown"` // to the camera
	Error            string  `json:"error,omitempty"`
}

// once watches all cameras at the same time.
func (d *demo) once(ctx context.Context, events *tape) []Watched {
	watched := make([]Watched, len(d.sites))
	var watching sync.WaitGroup
	for i, s := range d.sites {
		watching.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, onceTime)
			defer cancel()
			watched[i] = d.watch(ctx, s, events)
		})
	}
	watching.Wait()
	return watched
}

// watch pulls frames from one camera and looks up what its tunnel did.
func (d *demo) watch(ctx context.Context, s *site, events *tape) Watched {
	w := Watched{Name: s.name, URL: s.url()}
	pulled, err := rtsptest.Pull(ctx, s.url(), onceFrames)
	w.Frames, w.FirstFrameMillis = pulled.Frames, millis(pulled.FirstFrame)
	if failed, ok := events.now(s.name, gateway.Failed); ok {
		w.Error = failed.Err.Error() // it names the hop; the player only saw its connection end
		return w
	}
	if err != nil {
		w.Error = fmt.Sprintf("player: %v", err)
		return w
	}
	closed, err := events.await(ctx, s.name, gateway.Closed)
	if err != nil {
		w.Error = "gateway: the tunnel does not close"
		return w
	}
	opened, _ := events.now(s.name, gateway.Opened)
	w.OpenMillis, w.BytesUp, w.BytesDown = millis(opened.Took), closed.Up, closed.Down
	if err := pulled.MatchClip(s.name); err != nil {
		w.Error = fmt.Sprintf("tunnel: the video is not what camera %s sent: %v", s.name, err)
	}
	return w
}

// failure is an error that names each camera that could not be watched.
func failure(watched []Watched) error {
	var errs []error
	for _, w := range watched {
		if w.Error != "" {
			errs = append(errs, fmt.Errorf("camera %s: %s", w.Name, w.Error))
		}
	}
	return errors.Join(errs...)
}

func writeTable(w io.Writer, watched []Watched) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(t, "CAMERA\tOPEN\tFIRST FRAME\tFRAMES\tBYTES UP\tBYTES DOWN\tERROR")
	for _, c := range watched {
		_, _ = fmt.Fprintf(t, "%s\t%.1f ms\t%.1f ms\t%d\t%d\t%d\t%s\n",
			c.Name, c.OpenMillis, c.FirstFrameMillis, c.Frames, c.BytesUp, c.BytesDown, c.Error)
	}
	return t.Flush()
}

func writeJSON(w io.Writer, watched []Watched) error {
	return json.NewEncoder(w).Encode(map[string]any{"cameras": watched})
}

// tape records events, so that they can be asked for after the fact.
type tape struct {
	mu     sync.Mutex
	events []gateway.Event
	grown  chan struct{} // closed and replaced at each event
}

func newTape() *tape { return &tape{grown: make(chan struct{})} }

func (t *tape) record(e gateway.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
	close(t.grown)
	t.grown = make(chan struct{})
}

// now is the first event of that camera and phase, if there is one yet.
func (t *tape) now(camera string, phase gateway.Phase) (gateway.Event, bool) {
	e, _, ok := t.find(camera, phase)
	return e, ok
}

// await is now, but waits for it.
func (t *tape) await(ctx context.Context, camera string, phase gateway.Phase) (gateway.Event, error) {
	for {
		e, grown, ok := t.find(camera, phase)
		if ok {
			return e, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return gateway.Event{}, ctx.Err()
		}
	}
}

func (t *tape) find(camera string, phase gateway.Phase) (gateway.Event, <-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.events {
		if e.Camera == camera && e.Phase == phase {
			return e, nil, true
		}
	}
	return gateway.Event{}, t.grown, false
}

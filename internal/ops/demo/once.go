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

	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/testkit/rtsptest"
)

const (
	onceFrames  = 100              // video frames to pull from each camera
	onceTimeout = 30 * time.Second // for each camera; the frames are four seconds of video
)

// Watched is the result of watching one camera through its tunnel. The JSON of --once
// --json is {"cameras": [Watched...]}.
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
func (d *demo) once(ctx context.Context, events *eventLog) []Watched {
	watched := make([]Watched, len(d.cameras))
	var watching sync.WaitGroup
	for i, c := range d.cameras {
		watching.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, onceTimeout)
			defer cancel()
			watched[i] = d.watch(ctx, c, events)
		})
	}
	watching.Wait()
	return watched
}

// watch pulls frames from one camera and looks up the events of its tunnel.
func (d *demo) watch(ctx context.Context, c *camera, events *eventLog) Watched {
	w := Watched{Name: c.name, URL: c.url()}
	pulled, err := rtsptest.Pull(ctx, c.url(), onceFrames)
	w.Frames, w.FirstFrameMillis = pulled.Frames, millis(pulled.FirstFrame)
	if failed, ok := events.now(c.name, opener.Failed); ok {
		w.Error = failed.Err.Error() // it names the hop; the player only saw its connection close
		return w
	}
	if err != nil {
		w.Error = fmt.Sprintf("player: %v", err)
		return w
	}
	closed, err := events.await(ctx, c.name, opener.Closed)
	if err != nil {
		w.Error = "gateway: the tunnel does not close"
		return w
	}
	opened, _ := events.now(c.name, opener.Opened)
	w.OpenMillis, w.BytesUp, w.BytesDown = millis(opened.Took), closed.Up, closed.Down
	if err := pulled.MatchClip(c.name); err != nil {
		w.Error = fmt.Sprintf("tunnel: the video differs from what camera %s sent: %v", c.name, err)
	}
	return w
}

// failure returns an error that names each camera that could not be watched.
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

// eventLog records events for later queries.
type eventLog struct {
	mu     sync.Mutex
	events []opener.Event
	grown  chan struct{} // closed and replaced at each event
}

func newEventLog() *eventLog { return &eventLog{grown: make(chan struct{})} }

func (l *eventLog) record(e opener.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	close(l.grown)
	l.grown = make(chan struct{})
}

// now returns the first event of a camera and phase, if there is one yet.
func (l *eventLog) now(camera string, phase opener.Phase) (opener.Event, bool) {
	e, _, ok := l.find(camera, phase)
	return e, ok
}

// await waits for the first event of a camera and phase.
func (l *eventLog) await(ctx context.Context, camera string, phase opener.Phase) (opener.Event, error) {
	for {
		e, grown, ok := l.find(camera, phase)
		if ok {
			return e, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return opener.Event{}, ctx.Err()
		}
	}
}

func (l *eventLog) find(camera string, phase opener.Phase) (opener.Event, <-chan struct{}, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Camera == camera && e.Phase == phase {
			return e, nil, true
		}
	}
	return opener.Event{}, l.grown, false
}

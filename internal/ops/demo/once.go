package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

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
	OpenMillis       float64 `json:"openMillis"`       // from the gateway's request to the open tunnel
	FirstFrameMillis float64 `json:"firstFrameMillis"` // from the player's dial to its first whole key frame
	Frames           int     `json:"frames"`
	BytesUp          int64   `json:"bytesUp"`   // from the camera
	BytesDown        int64   `json:"bytesDown"` // to the camera
	Error            string  `json:"error,omitempty"`

	// Outputs is what the outputs for browsers did: "ok", or why not.
	Outputs map[string]string `json:"outputs,omitempty"`
}

// watchAll watches all cameras at the same time.
func (d *demo) watchAll(ctx context.Context) []Watched {
	watched := make([]Watched, len(d.cameras))
	var watching sync.WaitGroup
	for i, c := range d.cameras {
		watching.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, onceTimeout)
			defer cancel()
			watched[i] = d.watch(ctx, c)
			if watched[i].Error == "" {
				d.watchOutputs(ctx, c, &watched[i])
			}
		})
	}
	watching.Wait()
	return watched
}

// watch pulls frames from one camera and looks up the events of its tunnel.
func (d *demo) watch(ctx context.Context, c *camera) Watched {
	w := Watched{Name: c.name, URL: d.url(c)}
	pulled, err := rtsptest.Pull(ctx, w.URL, onceFrames)
	w.Frames, w.FirstFrameMillis = pulled.Frames, millis(pulled.FirstFrame)
	if err != nil {
		w.Error = d.whyNot(ctx, c, err)
		return w
	}
	closed, err := d.events.await(ctx, c.fullName(), tunnelClosed)
	if err != nil {
		w.Error = "gateway: the tunnel does not close"
		return w
	}
	opened, _ := d.events.await(ctx, c.fullName(), tunnelOpened) // it is there
	w.OpenMillis, w.BytesUp, w.BytesDown = opened.Took, closed.BytesUp, closed.BytesDown
	if c.simulator == nil {
		return w
	}
	if err := pulled.MatchClip(c.name); err != nil {
		w.Error = fmt.Sprintf("tunnel: the video differs from what camera %s sent: %v", c.name, err)
	}
	return w
}

// watchOutputs checks the outputs for browsers.
func (d *demo) watchOutputs(ctx context.Context, c *camera, w *Watched) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outputTimeout)
	defer cancel()
	w.Outputs = d.checkOutputs(ctx, c)
	for _, o := range outputs {
		if got := w.Outputs[o.name]; got != allRight && w.Error == "" {
			w.Error = "output " + o.name + ": " + got
		}
	}
}

// logTimeout is how long a line of the gateway may take to reach the demo.
const logTimeout = 2 * time.Second

// whyNot is why a player got no video: the gateway's line names the hop.
func (d *demo) whyNot(ctx context.Context, c *camera, err error) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTimeout)
	defer cancel()
	if refused, none := d.events.await(ctx, c.fullName(), viewerRefused, streamFailed); none == nil {
		return refused.failure()
	}
	return fmt.Sprintf("player: %v", err)
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
	_, _ = fmt.Fprintln(t, "CAMERA\tOPEN\tFIRST FRAME\tFRAMES\tBYTES UP\tBYTES DOWN\tFOR BROWSERS\tERROR")
	for _, c := range watched {
		_, _ = fmt.Fprintf(t, "%s\t%.1f ms\t%.1f ms\t%d\t%d\t%d\t%s\t%s\n",
			c.Name, c.OpenMillis, c.FirstFrameMillis, c.Frames, c.BytesUp, c.BytesDown, c.outputsText(), c.Error)
	}
	return t.Flush()
}

// outputsText names the outputs for browsers that showed live video.
func (w Watched) outputsText() string {
	var right []string
	for _, o := range outputs {
		if w.Outputs[o.name] == allRight {
			right = append(right, o.name)
		}
	}
	return strings.Join(right, " ")
}

func writeJSON(w io.Writer, watched []Watched) error {
	return json.NewEncoder(w).Encode(map[string]any{"cameras": watched})
}

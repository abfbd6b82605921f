package api

import (
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/gateway/stream"
)

// cameraList is the body of GET /api/cameras.
type cameraList struct {
	Cameras []cameraView `json:"cameras"`
	Next    string       `json:"next,omitempty"` // the after of the next list
}

// cameraView is one camera. Lists have no values that change while a stream is live, so that
// their ETag changes with the state alone.
type cameraView struct {
	Name    string           `json:"name"`
	Title   string           `json:"title,omitempty"`
	Video   string           `json:"video,omitempty"`
	GUID    string           `json:"guid,omitempty"`
	Hub     string           `json:"hub,omitempty"`
	State   stream.Phase     `json:"state"` // of the most active stream
	Failure *failure.Failure `json:"failure,omitempty"`
	Viewers int              `json:"viewers"`
	Streams []streamView     `json:"streams"`
}

// streamView is one stream of a camera.
type streamView struct {
	Name    string           `json:"name"`
	Default bool             `json:"default,omitempty"`
	State   stream.Phase     `json:"state"`
	Since   *time.Time       `json:"since,omitempty"`
	Hop     failure.Hop      `json:"hop,omitempty"` // what an opening works on
	Failure *failure.Failure `json:"failure,omitempty"`
	Readers int              `json:"readers"`
	Codec   string           `json:"codec,omitempty"`
	Width   int              `json:"width,omitempty"`
	Height  int              `json:"height,omitempty"`

	*streamDetails
}

// streamDetails are what only the answer for one camera has.
type streamDetails struct {
	Tracks          []trackView       `json:"tracks,omitempty"`
	BitsPerSecond   int64             `json:"bitsPerSecond,omitempty"`
	FramesPerSecond float64           `json:"framesPerSecond,omitempty"`
	KeyFrameMS      int64             `json:"keyFrameIntervalMs,omitempty"`
	Bytes           uint64            `json:"bytes"` // received from the camera
	OpenMS          map[string]int64  `json:"openMs,omitempty"`
	Links           map[string]string `json:"links,omitempty"` // without tokens
}

// trackView is a track as the camera sends it.
type trackView struct {
	Codec      media.Codec `json:"codec"`
	Width      int         `json:"width,omitempty"`
	Height     int         `json:"height,omitempty"`
	SampleRate int         `json:"sampleRate,omitempty"`
	Channels   int         `json:"channels,omitempty"`
}

// view returns a camera, with or without the details of its streams.
func (a *API) view(c Camera, viewers int, details bool) cameraView {
	v := cameraView{
		Name: c.Name, Title: c.Title, Video: c.Video, GUID: c.GUID, Hub: c.Hub, State: stream.PhaseIdle,
		Failure: c.Failure, Viewers: viewers, Streams: make([]streamView, len(c.Streams)),
	}
	for i, s := range c.Streams {
		state := a.State(c.Name, s.Name)
		v.Streams[i] = viewStream(s, state)
		if details {
			v.Streams[i].streamDetails = a.viewDetails(c.Name, s, state)
		}
		v.State = moreActive(v.State, v.Streams[i].State)
		if v.Failure == nil {
			v.Failure = v.Streams[i].Failure
		}
	}
	return v
}

func viewStream(s Stream, state stream.State) streamView {
	v := streamView{
		Name: s.Name, Default: s.Default, State: state.Phase, Since: timestamp(state.Since), Hop: state.Hop, Failure: state.Failure,
		Readers: state.Readers, Codec: s.Codec, Width: s.Width, Height: s.Height,
	}
	if v.State == "" {
		v.State = stream.PhaseIdle
	}
	if v.Failure == nil {
		v.Failure = s.Failure
	}
	if state.Epoch != nil && len(state.Epoch.Tracks) > 0 {
		t := state.Epoch.Tracks[state.Epoch.MainTrack()]
		v.Codec, v.Width, v.Height = string(t.Codec), t.Width, t.Height
	}
	return v
}

func (a *API) viewDetails(camera string, s Stream, state stream.State) *streamDetails {
	d := &streamDetails{
		BitsPerSecond: int64(state.BitsPerSecond), FramesPerSecond: tenths(state.FramesPerSecond),
		KeyFrameMS: state.KeyInterval.Milliseconds(), Bytes: state.Bytes,
		OpenMS: make(map[string]int64, len(state.OpenPhases)), Links: make(map[string]string, len(a.Links)),
	}
	if d.BitsPerSecond == 0 {
		d.BitsPerSecond = int64(s.BitsPerSecond)
	}
	if state.Epoch != nil {
		for _, t := range state.Epoch.Tracks {
			d.Tracks = append(d.Tracks, trackView{t.Codec, t.Width, t.Height, t.SampleRate, t.Channels})
		}
	}
	for phase, took := range state.OpenPhases {
		d.OpenMS[string(phase)] = took.Milliseconds()
	}
	for output, base := range a.Links {
		d.Links[output] = base + "/" + name.Escape(camera)
		if !s.Default {
			d.Links[output] += "/" + name.Escape(s.Name)
		}
	}
	return d
}

// moreActive returns the phase that says more about a camera.
func moreActive(x, y stream.Phase) stream.Phase {
	for _, p := range []stream.Phase{stream.PhaseLive, stream.PhaseReopening, stream.PhaseOpening, stream.PhaseClosing} {
		if x == p || y == p {
			return p
		}
	}
	return x
}

func tenths(x float64) float64 { return float64(int64(x*10+0.5)) / 10 }

func timestamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

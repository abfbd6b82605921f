package api

import (
	"time"

	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
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
	// LastPicture is the newest one of its streams.
	LastPicture *time.Time   `json:"lastPicture,omitempty"`
	Streams     []streamView `json:"streams"`
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
	Audio   media.Codec      `json:"audio,omitempty"` // known while the stream has an epoch
	// LastPicture is when the picture that still.mp4 shows was received. While the stream is
	// live, it is cut to minutes.
	LastPicture *time.Time `json:"lastPicture,omitempty"`

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
	Outputs         []outputView      `json:"outputs,omitempty"`
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

// view returns a camera, with the details of its streams if base is not empty: the URL at which
// the client reaches the gateway.
func (a *API) view(c Camera, viewers int, base string) cameraView {
	v := cameraView{
		Name: c.Name, Title: c.Title, Video: c.Video, GUID: c.GUID, Hub: c.Hub, State: stream.PhaseIdle,
		Failure: c.Failure, Viewers: viewers, Streams: make([]streamView, len(c.Streams)),
	}
	for i, s := range c.Streams {
		state := a.State(c.Name, s.Name)
		v.Streams[i] = viewStream(s, state)
		if a.LastPicture != nil {
			at := lastPicture(a.LastPicture(c.Name, s.Name), state.Phase)
			v.Streams[i].LastPicture = at
			if at != nil && (v.LastPicture == nil || at.After(*v.LastPicture)) {
				v.LastPicture = at
			}
		}
		if base != "" {
			v.Streams[i].streamDetails = a.viewDetails(c.Name, s, state, base)
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
		v.Audio = audioOf(state.Epoch)
	}
	return v
}

// audioOf returns the codec of the first sound; "" without one.
func audioOf(e *media.Epoch) media.Codec {
	for _, t := range e.Tracks {
		if !t.Video() {
			return t.Codec
		}
	}
	return ""
}

// lastPicture returns a time for lists, which change with the state alone.
func lastPicture(t time.Time, phase stream.Phase) *time.Time {
	if phase == stream.PhaseLive {
		t = t.Truncate(time.Minute)
	}
	return timestamp(t)
}

func (a *API) viewDetails(camera string, s Stream, state stream.State, base string) *streamDetails {
	d := &streamDetails{
		BitsPerSecond: int64(state.BitsPerSecond), FramesPerSecond: tenths(state.FramesPerSecond),
		KeyFrameMS: state.KeyInterval.Milliseconds(), Bytes: state.Bytes,
		OpenMS: make(map[string]int64, len(state.OpenPhases)), Outputs: a.viewOutputs(s, state.Epoch),
		Links: a.links(base, camera, s, ""),
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

package api

import (
	"net/url"
	"strings"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/name"
)

// The outputs over HTTP, as Options.Outputs and links have them.
const (
	OutputMSE   = "mse"   // fragmented MP4 over a WebSocket
	OutputHLS   = "hls"   // low-latency HLS
	OutputStill = "still" // the newest picture
	OutputRTSP  = "ws"    // RTSP over a WebSocket
)

// suffixes follow the camera's name in the paths of outputs.
var suffixes = map[string]string{
	OutputMSE: "mse", OutputHLS: "hls/index.m3u8", OutputStill: "still.mp4", OutputRTSP: "rtsp",
}

// outputView is an output of a stream, and why it cannot carry the stream's codec.
type outputView struct {
	Name    string           `json:"name"`
	Failure *failure.Failure `json:"failure,omitempty"`
}

func (a *API) viewOutputs(s Stream, e *media.Epoch) []outputView {
	var list []outputView
	for _, output := range a.Outputs {
		v := outputView{Name: output}
		if !carries(output, s, e) {
			v.Failure = failure.New(failure.Media, reason.CodecNotForOutput, nil)
		}
		list = append(list, v)
	}
	return list
}

// carries reports whether an output can carry a stream. Without an epoch, the configuration's
// codec decides, and an unknown one may be any.
func carries(output string, s Stream, e *media.Epoch) bool {
	if output == OutputRTSP {
		return true
	}
	if e == nil || len(e.Tracks) == 0 {
		return s.Codec == "" || fragments(media.Codec(strings.ToUpper(s.Codec)))
	}
	main := e.Tracks[e.MainTrack()]
	return fragments(main.Codec) || !main.Video() && output != OutputStill
}

// fragments reports whether fragmented MP4 has pictures of a codec in a form that browsers play.
func fragments(c media.Codec) bool { return c == media.H264 || c == media.H265 }

// links returns the URLs of a stream, with the token if it is not empty.
func (a *API) links(base, camera string, s Stream, token string) map[string]string {
	path := name.Escape(camera)
	if !s.Default {
		path += "/" + name.Escape(s.Name)
	}
	query, fragment := "", ""
	if token != "" {
		query, fragment = "?token="+url.QueryEscape(token), "#token="+url.QueryEscape(token)
	}
	found := make(map[string]string, len(a.Links)+len(a.Outputs)+1)
	for output, base := range a.Links {
		found[output] = base + "/" + path + query
	}
	for _, output := range a.Outputs {
		at := base
		if output == OutputMSE || output == OutputRTSP {
			at = "ws" + strings.TrimPrefix(base, "http") // http to ws, https to wss
		}
		found[output] = at + "/live/" + path + "/" + suffixes[output] + query
	}
	if len(a.Outputs) > 0 {
		found["embed"] = base + "/embed/" + path + fragment
	}
	return found
}

package rtspout

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/stream"
)

// target is what a request's URL names.
type target struct {
	name  string // "device/camera[/stream]" or a video's name, decoded
	token string // ?token=, "" if there is none
	live  bool   // ?start=live: begin with the pictures that the stream keeps
}

// want returns where a reader begins.
func (t target) want() stream.Want {
	if t.live {
		return stream.Want{Start: stream.Live}
	}
	return stream.Want{Start: stream.NextKey}
}

// maxSegment bounds a segment of a name: a module's id, a dot, and a camera's name.
const maxSegment = 128 + 1 + 64

// control separates a stream's URL from a track's number. gortsplib has it in the SDP.
const control = "/trackID="

// parseTarget reads a URL of a request. In the URL of a SETUP, the track's number follows
// the path, as GStreamer does it, or the query, as ffmpeg does it.
func parseTarget(u *base.URL, setup bool) (target, error) {
	path, query := (*url.URL)(u).EscapedPath(), u.RawQuery
	if setup {
		if i := strings.LastIndex(query, control); i >= 0 {
			query = query[:i]
		} else if i := strings.LastIndex(path, control); i >= 0 {
			path = path[:i]
		}
	}
	query = strings.TrimSuffix(query, "/")
	name, ok := parseName(strings.TrimSuffix(path, "/"))
	if !ok {
		return target{}, failure.New(failure.Viewer, reason.CameraUnknown, nil)
	}
	t := target{name: name}
	values, err := url.ParseQuery(query)
	if err != nil {
		return target{}, &failure.Failure{Hop: failure.Viewer, Reason: reason.RequestType, Message: "the URL's query cannot be read"}
	}
	t.token = values.Get("token")
	t.live = values.Get("start") == "live"
	return t, nil
}

// parseName decodes the segments of an escaped path. Segments never hold a slash: names
// have none, so "%2F" is a trick.
func parseName(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return "", false
	}
	segments := strings.Split(rest, "/")
	if len(segments) > 3 {
		return "", false
	}
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil || !isSegment(decoded) {
			return "", false
		}
		segments[i] = decoded
	}
	return strings.Join(segments, "/"), true
}

func isSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > maxSegment || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '/' || r == '\\' || r == 0x7F })
}

// trackOf returns the index of the track that the URL of a SETUP names, as gortsplib reads
// it: 0 without a number.
func trackOf(u *base.URL) int {
	text := u.Path
	if strings.Contains(u.RawQuery, control) {
		text = u.RawQuery
	}
	i := strings.LastIndex(text, control)
	if i < 0 {
		return 0
	}
	n, err := strconv.ParseUint(text[i+len(control):], 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

// resolve is the default of Options.Resolve.
func resolve(name string) (camera, stream, title string) {
	segments := strings.SplitN(name, "/", 3)
	if len(segments) == 3 {
		camera = segments[0] + "/" + segments[1]
		return camera, segments[2], camera
	}
	return name, "", name
}

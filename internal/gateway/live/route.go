package live

import (
	"net/url"
	"strings"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
)

// What begins the path of every output. By the UUID of a camera's video, it is RTSP over a
// WebSocket: content tokens have this URL in their audience.
const (
	prefix       = "/live/"
	tunnelPrefix = "/rtsp-tunnel/"
)

// Serves reports whether Handler has a path, below the path of the public URL.
func Serves(path string) bool {
	return strings.HasPrefix(path, prefix) || strings.HasPrefix(path, tunnelPrefix)
}

// The outputs, as their segment of the path has them. Only HLS has files behind it.
const (
	MSE   = "mse"
	HLS   = "hls"
	Still = "still.mp4"
	RTSP  = "rtsp" // over a WebSocket
)

// route is what the path of a request names.
type route struct {
	name   string // as asked for, decoded: a camera or an alias, with or without a stream
	video  string // the UUID of a camera's video, instead of a name
	output string
	file   string // of HLS, decoded
}

// parse reads an escaped path. The output is decided from the end, because names have one to
// three segments, and a camera may have the name of an output. The errors are REQ_ROUTE, and
// CAM_UNKNOWN for a name that no camera can have.
func parse(escaped string) (route, error) {
	if video, ok := strings.CutPrefix(escaped, tunnelPrefix); ok {
		if !isUUID(video) {
			return route{}, noRoute()
		}
		return route{video: strings.ToLower(video), output: RTSP}, nil
	}
	rest, ok := strings.CutPrefix(escaped, prefix)
	if !ok {
		return route{}, noRoute()
	}
	asked, last, ok := cutLast(rest)
	if !ok {
		return route{}, noRoute()
	}
	r := route{output: last}
	switch last {
	case MSE, Still, RTSP:
	default:
		if asked, r.output, ok = cutLast(asked); !ok || r.output != HLS {
			return route{}, noRoute()
		}
		file, err := url.PathUnescape(last)
		if err != nil || !isFile(file) {
			return route{}, noRoute()
		}
		r.file = file
	}
	if strings.HasPrefix(asked, "/") || strings.HasSuffix(asked, "/") { // Decode ignores them
		return route{}, noRoute()
	}
	decoded, err := name.Decode(asked)
	if err != nil {
		return route{}, err
	}
	r.name = decoded
	return r, nil
}

// isUUID reports whether a text has the form of a UUID (RFC 9562, section 4).
func isUUID(text string) bool {
	const form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(text) != len(form) {
		return false
	}
	for i, c := range []byte(strings.ToLower(text)) {
		digit := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if (form[i] == '-') != (c == '-') || form[i] == 'x' && !digit {
			return false
		}
	}
	return true
}

// maxFile bounds the name of a file of HLS, in bytes.
const maxFile = 128

func isFile(file string) bool {
	allowed := func(c rune) bool {
		return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.ContainsRune("._-", c)
	}
	return file != "" && len(file) <= maxFile && strings.Trim(file, ".") != "" && strings.IndexFunc(file, func(c rune) bool { return !allowed(c) }) < 0
}

// cutLast cuts the last segment off a path.
func cutLast(path string) (before, last string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", "", false
	}
	return path[:i], path[i+1:], true
}

func noRoute() error { return failure.New(failure.Viewer, reason.RequestRoute, nil) }
